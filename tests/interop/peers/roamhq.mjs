// libwebrtc through @roamhq/wrtc.
import wrtc from "@roamhq/wrtc";

const { RTCAudioSource, RTCVideoSource, RTCVideoSink } = wrtc.nonstandard;

const makeVideo = () => {
  const source = new RTCVideoSource();
  const [width, height] = [320, 240];
  const data = new Uint8ClampedArray(width * height * 1.5).fill(128);
  let number = 0;
  const timer = setInterval(() => {
    data.fill(((number++ * 4) % 200) + 20, 0, width * height);
    source.onFrame({ width, height, data });
  }, 66);
  return { track: source.createTrack(), stop: () => clearInterval(timer) };
};

const makeAudio = () => {
  const source = new RTCAudioSource();
  const samples = Int16Array.from({ length: 480 }, (_, i) => (i % 120 < 60 ? 4096 : -4096));
  const track = source.createTrack();
  const chunk = { samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 };
  const timer = setInterval(() => source.onData(chunk), 10);
  return { track, stop: () => clearInterval(timer) };
};

const watchVideo = (track, add) => {
  const sink = new RTCVideoSink(track);
  sink.onframe = add;
  return () => sink.stop();
};

export const platform = {
  RTCPeerConnection: wrtc.RTCPeerConnection,
  descriptionNeeded: true,
  makeTrack: (kind) => ({
    ...(kind === "video" ? makeVideo() : makeAudio()),
    stream: new wrtc.MediaStream(),
  }),
  watch: (track, add, pc) =>
    track.kind === "video" ? watchVideo(track, add) : countPackets(pc, "audio", add),
};
