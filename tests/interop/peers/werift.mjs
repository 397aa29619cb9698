// werift. It neither encodes nor decodes, so it sends back what it receives, and counts packets.
import { MediaStreamTrack, RTCPeerConnection } from "werift";

const echoes = new WeakMap();

const echoOf = (pc, kind) => {
  if (!echoes.has(pc)) echoes.set(pc, {});
  return (echoes.get(pc)[kind] ??= new MediaStreamTrack({ kind }));
};

const watch = (track, add, pc, transceiver) => {
  track.onReceiveRtp.subscribe((packet) => {
    add();
    echoOf(pc, track.kind).writeRtp(packet.clone());
  });
  if (track.kind === "audio") return () => {};
  const timer = setInterval(() => transceiver.receiver.sendRtcpPLI(track.ssrc), 500);
  return () => clearInterval(timer);
};

export const platform = {
  RTCPeerConnection,
  makeTrack: (kind, pc) => ({ track: echoOf(pc, kind) }),
  watch,
};
