// The interfaces of WebRTC. Each member is that of the same name of a Python object, which is
// reached by its number; here is only what WebIDL says about arguments and results.
"use strict";

const reference = Symbol("reference");
const trusted = Symbol("made by Python");
const known = new Map();
const pending = new Map();

function encode(value) {
  if (value === undefined || value === null) return null;
  if (typeof value !== "object") return value;
  if (value[reference] !== undefined) return { $ref: value[reference] };
  if (value instanceof Blob) return { $bytes: latin1(bytesOf(value)) };
  if (value instanceof ArrayBuffer) return { $bytes: latin1(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) {
    return { $bytes: latin1(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  }
  if (Array.isArray(value)) return value.map(encode);
  return Object.fromEntries(Object.entries(value)
    .filter(([, item]) => item !== undefined && typeof item !== "function")
    .map(([key, item]) => [key, encode(item)]));
}

// Bytes travel as characters of ISO 8859-1, which JSON has the least work with.
const latin1 = bytes => {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(start, start + 8192));
  }
  return text;
};

const bytesFrom = text => {
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return bytes;
};

function decode(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(decode);
  if ("$undefined" in value) return undefined;
  if ("$infinity" in value) return Infinity;
  if ("$ref" in value) return wrapper(value.$ref, value.$type);
  if ("$bytes" in value) return bytesFrom(value.$bytes).buffer;
  if ("$map" in value) return new Map(value.$map.map(([key, item]) => [key, decode(item)]));
  if ("$error" in value) return makeError(value.$error);
  if ("$description" in value) return new RTCSessionDescription(value.$description);
  if ("$candidate" in value) return new RTCIceCandidate(value.$candidate, trusted);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decode(item)]));
}

function ask(operation, ...args) {
  return answer(JSON.parse(__host(operation, JSON.stringify(args.map(encode)))));
}

function answer(result) {
  if (result.error) throw makeError(result.error);
  if (result.promise !== undefined) {
    return new Promise((resolve, reject) => pending.set(result.promise, { resolve, reject }));
  }
  return decode(result.value);
}

function settle(id, text) {
  const { resolve, reject } = pending.get(id);
  pending.delete(id);
  try {
    resolve(answer(JSON.parse(text)));
  } catch (error) {
    reject(error);
  }
}

function makeError({ kind, name, message, ...details }) {
  if (kind === "js") return new globalThis[name](message);
  if (kind === "rtc") return new RTCError(details, message);
  return new DOMException(message, name);
}

// A promise in any case, also where the Python method isn't a coroutine, or arguments are wrong.
function promise(run) {
  try {
    return Promise.resolve(run());
  } catch (error) {
    return Promise.reject(error);
  }
}

function wrapper(id, type) {
  let object = known.get(id);
  if (!object) {
    object = type === "MediaStream" ? new MediaStream([], id) : new interfaces[type](id);
    known.set(id, object);
  }
  return object;
}

class Remote extends EventTarget {
  constructor(id) {
    super();
    Object.defineProperty(this, reference, { value: id });
  }
  get [Symbol.toStringTag]() { return this.constructor.name; }
}

const read = (object, name) => ask("get", object, name);
const write = (object, name, value) => ask("set", object, name, value);
const call = (object, name, args = [], options = {}) => ask("call", object, name, args, options);

function attributes(type, ...names) {
  for (const name of names) {
    Object.defineProperty(type.prototype, name, {
      configurable: true, enumerable: true, get() { return read(this, name); },
    });
  }
}

function events(type, ...names) {
  for (const name of names) eventHandlerAttribute(type.prototype, name);
}

// WebIDL.

function oneOf(value, values, what) {
  const text = String(value);
  if (!values.includes(text)) throw new TypeError(`${text} is not a valid ${what}`);
  return text;
}

// A USVString.
const text = value => String(value).toWellFormed();

function instance(value, type) {
  if (!(value instanceof type)) throw new TypeError(`not of type ${type.name}`);
  return value;
}

function dictionary(value, what) {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" && typeof value !== "function") {
    throw new TypeError(`${what} is not an object`);
  }
  return value;
}

function sequence(value, what) {
  if (typeof value?.[Symbol.iterator] !== "function") {
    throw new TypeError(`${what} is not a sequence`);
  }
  return [...value];
}

function integer(value, max) {
  const number = Math.trunc(Number(value)) || 0;
  if (number < 0 || number > max) throw new TypeError(`${value} is out of range`);
  return number;
}

function needed(args, count) {
  if (args.length < count) throw new TypeError(`${count} arguments needed, ${args.length} given`);
}

const DIRECTIONS = ["sendrecv", "sendonly", "recvonly", "inactive", "stopped"];
const SDP_TYPES = ["offer", "pranswer", "answer", "rollback"];

const eventFrom = {
  track: (type, init) => new RTCTrackEvent(type, init),
  addtrack: (type, track) => new MediaStreamTrackEvent(type, { track }),
  removetrack: (type, track) => new MediaStreamTrackEvent(type, { track }),
  icecandidate: (type, candidate) => new RTCPeerConnectionIceEvent(type, { candidate }),
  icecandidateerror: (type, init) => new RTCPeerConnectionIceErrorEvent(type, init),
  datachannel: (type, channel) => new RTCDataChannelEvent(type, { channel }),
  error: (type, error) => error ? new RTCErrorEvent(type, { error }) : new Event(type),
};

function fire(id, type, text) {
  const object = known.get(id);
  if (!object) return;
  const payload = decode(JSON.parse(text));
  if (object instanceof RTCDataChannel && type === "message") {
    const binary = object.binaryType === "blob" && typeof payload !== "string";
    object.dispatchEvent(new MessageEvent(type, { data: binary ? new Blob([payload]) : payload }));
    return;
  }
  object.dispatchEvent((eventFrom[type] ?? (name => new Event(name)))(type, payload));
}

// Media.

class MediaStreamTrack extends Remote {
  #enabled = true;
  get enabled() { return this.#enabled; }
  set enabled(value) { this.#enabled = Boolean(value); }
  get label() { return ""; }
  stop() { call(this, "stop"); }
  clone() { return ask("media", this.kind); }
  getSettings() { return {}; }
  getConstraints() { return {}; }
}
attributes(MediaStreamTrack, "id", "kind", "readyState", "muted");
events(MediaStreamTrack, "ended", "mute", "unmute");

class MediaStream extends Remote {
  constructor(from, id) {
    super(id ?? ask("stream", tracksOf(from)));
    if (id !== undefined) return;
    known.set(this[reference], this);
    ask("watch", this, "MediaStream");
  }
  get active() { return this.getTracks().some(track => track.readyState === "live"); }
  getTracks() { return call(this, "getTracks"); }
  getAudioTracks() { return this.getTracks().filter(track => track.kind === "audio"); }
  getVideoTracks() { return this.getTracks().filter(track => track.kind === "video"); }
  getTrackById(id) { return this.getTracks().find(track => track.id === id) ?? null; }
  addTrack(track) { call(this, "addTrack", [instance(track, MediaStreamTrack)]); }
  removeTrack(track) { call(this, "removeTrack", [instance(track, MediaStreamTrack)]); }
  clone() { return new MediaStream(this.getTracks().map(track => track.clone())); }
}
attributes(MediaStream, "id");
events(MediaStream, "addtrack", "removetrack");

function tracksOf(from) {
  const tracks = from instanceof MediaStream ? from.getTracks() : [...(from ?? [])];
  return tracks.map(track => instance(track, MediaStreamTrack));
}

const navigator = {
  userAgent: "bridge",
  mediaDevices: {
    async getUserMedia(constraints = {}) {
      const kinds = ["audio", "video"].filter(kind => constraints[kind]);
      if (kinds.length === 0) throw new TypeError("neither audio nor video is asked for");
      return new MediaStream(kinds.map(kind => ask("media", kind)));
    },
  },
};

// As much of Web Audio as it takes to get a track from it.
class AudioContext extends EventTarget {
  createOscillator() { return { connect: node => node, start() {}, stop() {} }; }
  createMediaStreamDestination() { return { stream: new MediaStream([ask("media", "audio")]) }; }
  async close() {}
}

// RTP.

class RTCRtpSender extends Remote {
  static getCapabilities(kind) { return ask("static", "RTCRtpSender", "getCapabilities", [kind]); }
  getParameters() { return call(this, "getParameters"); }
  setParameters(parameters) {
    return promise(() => call(this, "setParameters", [{ $parameters: sendParameters(parameters) }]));
  }
  replaceTrack(track) {
    return promise(() => {
      needed(arguments, 1);
      if (track !== null) instance(track, MediaStreamTrack);
      return call(this, "replaceTrack", [track]);
    });
  }
  setStreams(...streams) {
    call(this, "setStreams", streams.map(stream => instance(stream, MediaStream)));
  }
  getStats() { return promise(() => call(this, "getStats")); }
}
attributes(RTCRtpSender, "track", "transport", "dtmf");

class RTCRtpReceiver extends Remote {
  static getCapabilities(kind) {
    return ask("static", "RTCRtpReceiver", "getCapabilities", [kind]);
  }
  getParameters() { return call(this, "getParameters"); }
  getContributingSources() { return call(this, "getContributingSources"); }
  getSynchronizationSources() { return call(this, "getSynchronizationSources"); }
  getStats() { return promise(() => call(this, "getStats")); }
}
attributes(RTCRtpReceiver, "track", "transport");

class RTCRtpTransceiver extends Remote {
  get direction() { return read(this, "direction"); }
  set direction(value) {
    // An assignment of an unknown word to an enumeration is ignored.
    if (DIRECTIONS.includes(String(value))) write(this, "direction", String(value));
  }
  stop() { call(this, "stop"); }
  setCodecPreferences(codecs) {
    call(this, "setCodecPreferences", [{ $codecs: sequence(codecs, "codecs") }]);
  }
}
attributes(RTCRtpTransceiver, "mid", "sender", "receiver", "currentDirection", "stopped");

// Transports.

class RTCIceTransport extends Remote {
  getLocalCandidates() { return call(this, "getLocalCandidates"); }
  getRemoteCandidates() { return call(this, "getRemoteCandidates"); }
  getSelectedCandidatePair() { return call(this, "getSelectedCandidatePair"); }
  getLocalParameters() { return call(this, "getLocalParameters"); }
  getRemoteParameters() { return call(this, "getRemoteParameters"); }
}
attributes(RTCIceTransport, "role", "component", "state", "gatheringState");
events(RTCIceTransport, "statechange", "gatheringstatechange", "selectedcandidatepairchange");

class RTCDtlsTransport extends Remote {
  get iceTransport() { return read(this, "transport"); }
  getRemoteCertificates() { return call(this, "getRemoteCertificates"); }
}
attributes(RTCDtlsTransport, "state");
events(RTCDtlsTransport, "statechange", "error");

class RTCSctpTransport extends Remote {}

class RTCCertificate extends Remote {
  get expires() { return read(this, "expires"); }
  getFingerprints() { return call(this, "getFingerprints"); }
}
attributes(RTCSctpTransport, "transport", "state", "maxMessageSize", "maxChannels");
events(RTCSctpTransport, "statechange");

class RTCDataChannel extends Remote {
  #binaryType = "arraybuffer";
  get binaryType() { return this.#binaryType; }
  set binaryType(value) {
    if (["blob", "arraybuffer"].includes(String(value))) this.#binaryType = String(value);
  }
  get bufferedAmountLowThreshold() { return read(this, "bufferedAmountLowThreshold"); }
  set bufferedAmountLowThreshold(value) { write(this, "bufferedAmountLowThreshold", value); }
  send(data) {
    needed(arguments, 1);
    const binary = [ArrayBuffer, Blob].some(type => data instanceof type) || ArrayBuffer.isView(data);
    call(this, "send", [binary ? data : text(data)]);
  }
  close() { call(this, "close"); }
}
attributes(RTCDataChannel, "label", "ordered", "maxPacketLifeTime", "maxRetransmits", "protocol",
           "negotiated", "id", "readyState", "bufferedAmount");
events(RTCDataChannel, "open", "bufferedamountlow", "error", "closing", "close", "message");

// The connection.

class RTCPeerConnection extends Remote {
  constructor(...configuration) {
    super(ask("connection", configurationFrom(...configuration)));
    known.set(this[reference], this);
    ask("watch", this, "RTCPeerConnection");
  }
  createOffer(options) {
    return promise(() => {
      const names = ["iceRestart", "offerToReceiveAudio", "offerToReceiveVideo"];
      const init = dictionary(options, "RTCOfferOptions");
      const given = Object.fromEntries(names.map(name => [name, init[name]]));
      for (const [name, value] of Object.entries(given)) {
        if (value !== undefined) given[name] = Boolean(value);
      }
      return call(this, "createOffer", [], given).then(descriptionInit);
    });
  }
  createAnswer() {
    return promise(() => call(this, "createAnswer").then(descriptionInit));
  }
  setLocalDescription(description) {
    return promise(() => {
      const { type, sdp } = dictionary(description, "RTCLocalSessionDescriptionInit");
      if (type === undefined) return call(this, "setLocalDescription");
      return call(this, "setLocalDescription", [
        { $description: new RTCSessionDescription({ type, sdp }).toJSON() },
      ]);
    });
  }
  setRemoteDescription(description) {
    return promise(() => {
      needed(arguments, 1);
      return call(this, "setRemoteDescription", [
        { $description: new RTCSessionDescription(description).toJSON() },
      ]);
    });
  }
  addIceCandidate(candidate) {
    return promise(() => call(this, "addIceCandidate", [{ $candidate: candidateInit(candidate) }]));
  }
  restartIce() { call(this, "restartIce"); }
  getConfiguration() { return call(this, "getConfiguration"); }
  setConfiguration(configuration) {
    call(this, "setConfiguration", [{ $configuration: configurationFrom(configuration) }]);
  }
  close() { call(this, "close"); }

  getSenders() { return call(this, "getSenders"); }
  getReceivers() { return call(this, "getReceivers"); }
  getTransceivers() { return call(this, "getTransceivers"); }
  addTrack(track, ...streams) {
    needed(arguments, 1);
    instance(track, MediaStreamTrack);
    const given = streams.map(stream => instance(stream, MediaStream));
    const sender = call(this, "addTrack", [track, ...given]);
    // Python puts a track that is added without streams into one, and this takes it out again.
    if (given.length === 0 && ask("has", sender, "setStreams")) sender.setStreams();
    return sender;
  }
  removeTrack(sender) {
    call(this, "removeTrack", [instance(sender, RTCRtpSender)]);
  }
  addTransceiver(trackOrKind, init) {
    needed(arguments, 1);
    const what = trackOrKind instanceof MediaStreamTrack ? trackOrKind : String(trackOrKind);
    return call(this, "addTransceiver", [what], transceiverInit(init));
  }
  createDataChannel(label, init = {}) {
    needed(arguments, 1);
    return call(this, "createDataChannel", [text(label)], channelInit(init));
  }
  getStats(selector = null) {
    return promise(() => {
      if (selector !== null) instance(selector, MediaStreamTrack);
      return selector === null ? call(this, "getStats") : call(this, "getStats", [selector]);
    });
  }
  static generateCertificate(algorithm) {
    return promise(() => ask("static", "RTCPeerConnection", "generateCertificate", [algorithm]));
  }
}
// Values in Python, objects here: a description that hasn't changed is the same object.
const described = new WeakMap();

function same(connection, side, description) {
  if (!description) return description;
  const known = described.get(connection) ?? new Map();
  described.set(connection, known);
  const key = `${side} ${description.type} ${description.sdp}`;
  if (!known.has(key)) known.set(key, description);
  return known.get(key);
}

for (const side of ["Local", "Remote"]) {
  for (const name of [`${side.toLowerCase()}Description`, `current${side}Description`,
                      `pending${side}Description`]) {
    Object.defineProperty(RTCPeerConnection.prototype, name, {
      configurable: true, enumerable: true, get() { return same(this, side, read(this, name)); },
    });
  }
}

attributes(RTCPeerConnection,
           "signalingState", "iceGatheringState", "iceConnectionState", "connectionState",
           "canTrickleIceCandidates", "sctp");
events(RTCPeerConnection, "negotiationneeded", "icecandidate", "icecandidateerror",
       "signalingstatechange", "iceconnectionstatechange", "icegatheringstatechange",
       "connectionstatechange", "track", "datachannel");

// What is created is a dictionary, what is set is an object.
const descriptionInit = description => description.toJSON();

function transceiverInit(init) {
  const { direction, streams = [], sendEncodings } = dictionary(init, "RTCRtpTransceiverInit");
  const result = { streams: [...streams].map(stream => instance(stream, MediaStream)) };
  if (direction !== undefined) {
    result.direction = oneOf(direction, DIRECTIONS, "RTCRtpTransceiverDirection");
  }
  if (sendEncodings !== undefined) {
    result.sendEncodings = { $encodings: sequence(sendEncodings, "sendEncodings").map(encoding) };
  }
  return result;
}

function encoding(value) {
  const init = { active: true, ...dictionary(value, "RTCRtpEncodingParameters") };
  for (const name of ["scaleResolutionDownBy", "maxFramerate"]) {
    if (init[name] === undefined) continue;
    init[name] = Number(init[name]);
    if (!Number.isFinite(init[name])) throw new TypeError(`${name} is not finite`);
  }
  if (init.rid !== undefined) init.rid = String(init.rid);
  return init;
}

function sendParameters(value) {
  const init = dictionary(value, "RTCRtpSendParameters");
  for (const name of ["transactionId", "encodings"]) {
    if (init[name] === undefined) throw new TypeError(`${name} is required`);
  }
  // These are required, too, but the tests want the error of what can't be changed.
  const missing = { codecs: [], headerExtensions: [], rtcp: {} };
  return { ...missing, ...init, encodings: sequence(init.encodings, "encodings").map(encoding) };
}

function channelInit(init) {
  const given = dictionary(init, "RTCDataChannelInit");
  const result = {};
  if (given.ordered !== undefined) result.ordered = Boolean(given.ordered);
  for (const name of ["maxPacketLifeTime", "maxRetransmits"]) {
    if (given[name] !== undefined) result[name] = integer(given[name], 65535);
  }
  if (given.protocol !== undefined) result.protocol = text(given.protocol);
  if (given.negotiated !== undefined) result.negotiated = Boolean(given.negotiated);
  if (given.id !== undefined && given.id !== null) result.id = integer(given.id, 65535);
  return result;
}

const ENUMERATIONS = {
  bundlePolicy: ["balanced", "max-compat", "max-bundle"],
  iceTransportPolicy: ["relay", "all"],
  rtcpMuxPolicy: ["require"],
};

function configurationFrom(value) {
  const given = dictionary(value, "RTCConfiguration");
  const result = { iceServers: [] };
  if (given.iceServers !== undefined) {
    result.iceServers = sequence(given.iceServers, "iceServers").map(serverFrom);
  }
  for (const [name, values] of Object.entries(ENUMERATIONS)) {
    if (given[name] !== undefined) result[name] = oneOf(given[name], values, name);
  }
  if (given.iceCandidatePoolSize !== undefined) {
    result.iceCandidatePoolSize = integer(given.iceCandidatePoolSize, 255);
  }
  if (given.certificates !== undefined) {
    result.certificates = sequence(given.certificates, "certificates")
      .map(certificate => instance(certificate, RTCCertificate));
  }
  return result;
}

function serverFrom(value) {
  const given = dictionary(value, "RTCIceServer");
  if (given.urls === undefined) throw new TypeError("urls is required");
  const sequence = typeof given.urls === "object" && given.urls !== null;
  const result = { urls: sequence ? [...given.urls].map(String) : [String(given.urls)] };
  for (const name of ["username", "credential"]) {
    if (given[name] !== undefined) result[name] = String(given[name]);
  }
  return result;
}

// What Python hands out numbers for.
const interfaces = {
  MediaStream, MediaStreamTrack, RTCCertificate, RTCDataChannel, RTCDtlsTransport, RTCIceTransport, RTCRtpReceiver,
  RTCRtpSender, RTCRtpTransceiver, RTCSctpTransport,
};

Object.assign(globalThis, interfaces, {
  AudioContext, MediaStreamTrackEvent, RTCDataChannelEvent, RTCError, RTCErrorEvent,
  RTCIceCandidate, RTCPeerConnection, RTCPeerConnectionIceErrorEvent, RTCPeerConnectionIceEvent,
  RTCSessionDescription, RTCTrackEvent, navigator,
});

// What Python calls, and what harness.js uses.
globalThis.__bridge = { ask, fire, frameLoaded, makeDocument, receiveMessage, runTask, settle };
