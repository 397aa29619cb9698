// libdatachannel through node-datachannel, dressed as far as it goes in the browser's interface. It
// has no restart, no rollback, and for media it hands RTP packets over, which are sent back.
import nodeDataChannel from "node-datachannel";

const { PeerConnection } = nodeDataChannel;

class Channel extends EventTarget {
  constructor(native) {
    super();
    this.native = native;
    native.onOpen(() => this.dispatchEvent(new Event("open")));
    native.onClosed(() => this.dispatchEvent(new Event("close")));
    native.onMessage((data) => this.dispatchEvent(Object.assign(new Event("message"), { data })));
  }

  get readyState() {
    return this.native.isOpen() ? "open" : "connecting";
  }

  get bufferedAmount() {
    return this.native.bufferedAmount();
  }

  send(text) {
    this.native.sendMessage(text);
  }

  close() {
    this.native.close();
  }
}

class Connection extends EventTarget {
  constructor() {
    super();
    this.native = new PeerConnection("peer", { iceServers: [], disableAutoNegotiation: true });
    this.iceGatheringState = "new";
    const fire = (name, values = {}) => this.dispatchEvent(Object.assign(new Event(name), values));
    this.native.onStateChange(() => fire("connectionstatechange"));
    this.native.onIceStateChange(() => fire("iceconnectionstatechange"));
    this.native.onSignalingStateChange(() => fire("signalingstatechange"));
    this.native.onGatheringStateChange((state) => {
      this.iceGatheringState = state;
      fire("icegatheringstatechange");
      if (state === "complete") fire("icecandidate", { candidate: null });
    });
    this.native.onLocalCandidate((candidate, sdpMid) =>
      fire("icecandidate", { candidate: { candidate, sdpMid } }),
    );
    this.native.onDataChannel((channel) => fire("datachannel", { channel: new Channel(channel) }));
    this.native.onTrack((native) => {
      const track = { kind: native.type(), native };
      fire("track", { track });
    });
  }

  get signalingState() {
    return this.native.signalingState();
  }

  get iceConnectionState() {
    return this.native.iceState();
  }

  get connectionState() {
    return this.native.state();
  }

  get localDescription() {
    return this.native.localDescription();
  }

  createDataChannel(label, { ordered, ...options } = {}) {
    return new Channel(this.native.createDataChannel(label, { ...options, unordered: ordered === false }));
  }

  addTrack(track) {
    track.native = this.native.addTrack(track.description);
    track.native.onMessage((packet) => track.received(packet));
    return track;
  }

  setLocalDescription(description) {
    if (description?.type === "rollback") throw new TypeError("no rollback");
    const answer = this.signalingState === "have-remote-offer";
    this.native.setLocalDescription(answer ? "answer" : "offer");
  }

  setRemoteDescription({ type, sdp }) {
    this.native.setRemoteDescription(sdp, type);
  }

  addIceCandidate(candidate) {
    if (candidate?.candidate) this.native.addRemoteCandidate(candidate.candidate, candidate.sdpMid);
  }

  close() {
    this.native.close();
  }
}

// RTCP is told from RTP by its packet type. (RFC 5761 section 4)
const isRtp = (packet) => (packet[1] & 0x7f) < 64 || (packet[1] & 0x7f) > 95;

const watch = (track, add) => {
  track.native.onMessage((packet) => {
    if (isRtp(packet)) {
      add();
      track.native.sendMessageBinary(packet);
    }
  });
};

export const platform = {
  RTCPeerConnection: Connection,
  makeTrack: () => {
    throw new TypeError("tracks are made by the other side");
  },
  watch,
};
