// A page that calls Python with rtc-negotiator.js. `told` has the events of its Negotiators, `add(kind)`
// adds what it sends, and `seen` are the tracks of Python's that have shown something.
import { RtcSignal } from "./rtc-signal.js";
import { Negotiator } from "./rtc-negotiator.js";

const asked = new URLSearchParams(location.search);
const signaling = new RtcSignal(asked.get("signaling"), { room: asked.get("room"), peer: "page" });
const play = (track) => {
  const element = document.createElement(track.kind);
  Object.assign(element, { autoplay: true, muted: true, srcObject: new MediaStream([track]) });
  element.ontimeupdate = () => element.currentTime > 0 && seen.add(track);
  document.body.append(element);
};
const makeTrack = {
  audio: () => {
    const context = new AudioContext();
    const oscillator = context.createOscillator();
    const sink = context.createMediaStreamDestination();
    oscillator.connect(sink);
    oscillator.start();
    return sink.stream.getTracks()[0];
  },
  video: () => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d");
    setInterval(() => context.fillRect(0, 0, Math.random() * 99, 99), 50);
    return canvas.captureStream(20).getTracks()[0];
  },
};

const call = (description) => {
  const pc = new RTCPeerConnection();
  const negotiator = new Negotiator(pc, signaling, {
    inBand: asked.has("in-band"),
    recovery: asked.has("recovery"),
  });
  for (const type of ["lost", "back", "restart", "replaced", "error"]) {
    negotiator.addEventListener(type, ({ detail }) => told.push({ type, ...detail, error: String(detail.error) }));
  }
  negotiator.addEventListener("replaced", ({ detail }) => {
    negotiator.close();
    pc.close();
    call(detail.description);
  });
  pc.ontrack = ({ track }) => play(track);
  pc.ondatachannel = ({ channel }) => (channels[channel.label] = channel);
  Object.assign(globalThis, { pc, negotiator });
  if (description) negotiator.receive({ description });
  else channels.page = pc.createDataChannel("page");
};

Object.assign(globalThis, {
  signaling,
  told: [],
  channels: {},
  seen: new Set(),
  add: (kind) => pc.addTrack(makeTrack[kind]()),
});
call();
await signaling.connect();
