// What peer.js needs of a browser. The video is a canvas, the audio an oscillator: neither asks for
// permission, so that the browser keeps hiding its addresses if it does.
globalThis.browserPlatform = (configuration) => {
  const makeVideo = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 240];
    const context = canvas.getContext("2d");
    let number = 0;
    const timer = setInterval(() => {
      context.fillStyle = "#334";
      context.fillRect(0, 0, 320, 240);
      context.fillStyle = "#fd5";
      context.fillRect((number++ * 4) % 320, 60, 40, 120);
    }, 66);
    const stream = canvas.captureStream(15);
    return { track: stream.getVideoTracks()[0], stream, stop: () => clearInterval(timer) };
  };

  const makeAudio = () => {
    const context = new AudioContext();
    const oscillator = context.createOscillator();
    const sink = context.createMediaStreamDestination();
    oscillator.connect(sink);
    oscillator.start();
    const { stream } = sink;
    return { track: stream.getAudioTracks()[0], stream, stop: () => context.close() };
  };

  const watchVideo = (track, add) => {
    const video = document.createElement("video");
    Object.assign(video, { muted: true, autoplay: true, playsInline: true });
    video.srcObject = new MediaStream([track]);
    document.body.append(video);
    const counted = () => {
      add();
      video.requestVideoFrameCallback(counted);
    };
    video.requestVideoFrameCallback(counted);
    return () => video.remove();
  };

  return {
    RTCPeerConnection,
    configuration,
    getCapabilities: (kind) => RTCRtpReceiver.getCapabilities(kind),
    makeTrack: (kind) => (kind === "video" ? makeVideo() : makeAudio()),
    watch: (track, add, pc) =>
      track.kind === "video" ? watchVideo(track, add) : countPackets(pc, "audio", add),
  };
};
