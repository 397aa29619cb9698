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
  // It asks a STUN server in any case, by default one of strangers, for seconds.
  configuration: { iceServers: [{ urls: "stun:127.0.0.1:9" }], iceStunGatherTimeout: 0.1 },
  makeTrack: (kind, pc) => ({ track: echoOf(pc, kind) }),
  watch,
};
