// Values, errors and events of WebRTC, as WebIDL describes them; no connection is asked for them,
// but for how a line of a candidate is read.
"use strict";

class RTCSessionDescription {
  #type;
  #sdp;
  constructor(init) {
    needed(arguments, 1);
    const { type, sdp } = dictionary(init, "RTCSessionDescriptionInit");
    if (type === undefined) throw new TypeError("type is required");
    this.#type = oneOf(type, SDP_TYPES, "RTCSdpType");
    this.#sdp = sdp === undefined ? "" : String(sdp);
  }
  get type() { return this.#type; }
  get sdp() { return this.#sdp; }
  toJSON() { return { type: this.type, sdp: this.sdp }; }
}

class RTCIceCandidate {
  #init;
  #parsed;
  #local;
  constructor(init = {}) {
    const given = candidateInit(init);
    const text = item => item === undefined || item === null ? null : String(item);
    this.#local = { relayProtocol: text(init?.relayProtocol), url: text(init?.url) };
    if (arguments[1] !== trusted && given.sdpMid === null && given.sdpMLineIndex === null) {
      throw new TypeError("sdpMid and sdpMLineIndex are both null");
    }
    this.#init = given;
    this.#parsed = ask("parseCandidate", given) ?? {};
  }
  get candidate() { return this.#init.candidate; }
  get sdpMid() { return this.#init.sdpMid; }
  get sdpMLineIndex() { return this.#init.sdpMLineIndex; }
  get usernameFragment() { return this.#init.usernameFragment; }
  get foundation() { return this.#parsed.foundation ?? null; }
  get component() {
    return { 1: "rtp", 2: "rtcp" }[this.#parsed.component] ?? null;
  }
  get priority() { return this.#parsed.priority ?? null; }
  get address() { return this.#parsed.ip ?? null; }
  get protocol() { return this.#parsed.protocol ?? null; }
  get port() { return this.#parsed.port ?? null; }
  get type() { return this.#parsed.type ?? null; }
  get tcpType() { return this.#parsed.tcpType ?? null; }
  get relatedAddress() { return this.#parsed.relatedAddress ?? null; }
  get relatedPort() { return this.#parsed.relatedPort ?? null; }
  get relayProtocol() { return this.#local.relayProtocol; }
  get url() { return this.#local.url; }
  toJSON() {
    const { candidate, sdpMid, sdpMLineIndex } = this.#init;
    return { candidate, sdpMid, sdpMLineIndex, usernameFragment: this.usernameFragment };
  }
}

function candidateInit(value) {
  const init = dictionary(value, "RTCIceCandidateInit");
  const text = item => item === undefined || item === null ? null : String(item);
  const index = init.sdpMLineIndex;
  return {
    candidate: init.candidate === undefined ? "" : String(init.candidate),
    sdpMid: text(init.sdpMid),
    sdpMLineIndex: index === undefined || index === null ? null : Number(index) & 0xffff,
    usernameFragment: text(init.usernameFragment),
  };
}

const ERROR_DETAILS = [
  "data-channel-failure", "dtls-failure", "fingerprint-failure", "sctp-failure",
  "sdp-syntax-error", "hardware-encoder-not-available", "hardware-encoder-error",
];

class RTCError extends DOMException {
  #init;
  constructor(init, message = "") {
    needed(arguments, 1);
    super(message, "OperationError");
    if (dictionary(init, "RTCErrorInit").errorDetail === undefined) {
      throw new TypeError("errorDetail is required");
    }
    oneOf(init.errorDetail, ERROR_DETAILS, "RTCErrorDetailType");
    this.#init = { ...init };
  }
  get errorDetail() { return this.#init.errorDetail; }
  get sdpLineNumber() { return this.#init.sdpLineNumber ?? null; }
  get sctpCauseCode() { return this.#init.sctpCauseCode ?? null; }
  get receivedAlert() { return this.#init.receivedAlert ?? null; }
  get sentAlert() { return this.#init.sentAlert ?? null; }
}

// Events.

class RTCTrackEvent extends Event {
  constructor(type, init) {
    super(type, init);
    this.receiver = instance(init.receiver, RTCRtpReceiver);
    this.track = instance(init.track, MediaStreamTrack);
    this.streams = Object.freeze([...(init.streams ?? [])]);
    this.transceiver = instance(init.transceiver, RTCRtpTransceiver);
  }
}

class RTCPeerConnectionIceEvent extends Event {
  constructor(type, init = {}) {
    needed(arguments, 1);
    super(type, init);
    const { candidate = null } = init;
    this.candidate = candidate === null ? null : instance(candidate, RTCIceCandidate);
    this.url = init.url ?? null;
  }
}

class RTCPeerConnectionIceErrorEvent extends Event {
  constructor(type, init) {
    super(type, init);
    this.address = init.address ?? null;
    this.port = init.port ?? null;
    this.url = String(init.url ?? "");
    this.errorCode = integer(init.errorCode, 65535);
    this.errorText = String(init.errorText ?? "");
  }
}

class RTCErrorEvent extends Event {
  constructor(type, init) {
    super(type, init);
    this.error = instance(init.error, RTCError);
  }
}

class RTCDataChannelEvent extends Event {
  constructor(type, init) {
    super(type, init);
    this.channel = instance(init.channel, RTCDataChannel);
  }
}

class MediaStreamTrackEvent extends Event {
  constructor(type, init) {
    super(type, init);
    this.track = instance(init.track, MediaStreamTrack);
  }
}
