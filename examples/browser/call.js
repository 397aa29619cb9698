// The browser's end of the call: signaling, perfect negotiation, and what can be seen of it.

import { RtcSignal } from "./rtc-signal.js";

const PYTHON = "python";
const PULSE_MS = 250;
const TOGETHER_MS = 150;
// For how long who was in the room first leaves the first offer to the newcomer.
const FIRST_OFFER_MS = 300;

/** Returns the username fragment in a description, which tells ICE generations apart. */
const ufragOf = (description) => /^a=ice-ufrag:(\S+)/m.exec(description?.sdp ?? "")?.[1];

const describe = ({ type, sdp }) =>
  `${type}, ${sdp.split("\nm=").length - 1} sections, ICE ${ufragOf({ sdp })}`;

/**
 * Events: log {who, text, tone?}, state, track {track}, news {event, text, …} (Python's),
 * pulse {rtt, frames} (rtt is null if nothing came back), restarted {ms}, signaling {state}.
 */
export class Call extends EventTarget {
  #signaling;
  #pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  #pulse;
  #unanswered = 0;
  #ufrag; // of the generation that is in use
  #candidates = { browser: [], Python: [] }; // to be told in one line
  #restartBegan = null;
  // The three variables of the specification's program.
  #makingOffer = false;
  #ignoreOffer = false;
  #settingRemoteAnswer = false;
  #instances = new Set();
  #offerCame = null; // ends the waiting for a newcomer's offer

  constructor(url, { room, token }) {
    super();
    this.#signaling = new RtcSignal(url, { room, token });
    this.#listen();
  }

  get pc() {
    return this.#pc;
  }

  /** Whether this browser tells which pair is in use when that changes; Firefox doesn't. */
  get seesPairs() {
    return Boolean(this.#ice?.getSelectedCandidatePair);
  }

  /** Goes to the signaling server, and calls Python when it is there. */
  async start(track) {
    await this.#signaling.connect();
    await this.#pythonPresent();
    this.#tellSignaling();
    const sender = this.#pc.addTrack(track, new MediaStream([track]));
    // Both sides make the same channel. What is late is of no use, so nothing is repeated.
    this.#pulse = this.#pc.createDataChannel("pulse", {
      negotiated: true,
      id: 0,
      ordered: false,
      maxRetransmits: 0,
    });
    this.#pulse.onmessage = ({ data }) => this.#takePulse(data);
    setInterval(() => this.#sendPulse(), PULSE_MS);
    return sender;
  }

  /** Restarts ICE from here. */
  restart() {
    this.#log("restartIce()", "busy");
    this.#restartBegan ??= performance.now();
    this.#pc.restartIce();
  }

  /** Asks Python for "restart" or "cut". */
  ask(what) {
    this.#send({ custom: what });
  }

  addVideo(track) {
    this.#log("adds a video", "busy");
    this.#pc.addTrack(track, new MediaStream([track]));
  }

  /** Returns what the statistics say: the selected pair, and the videos that come in. */
  async observe() {
    const stats = await this.#pc.getStats();
    const entries = [...stats.values()];
    const transport = entries.find(({ type }) => type === "transport");
    const pair =
      stats.get(transport?.selectedCandidatePairId) ??
      entries.find((entry) => entry.type === "candidate-pair" && entry.selected);
    const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
    const videos = entries.filter((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    return { local, remote, videos };
  }

  close() {
    this.#pc.close();
    this.#signaling.close();
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #log(text, tone) {
    this.#tell("log", { who: "browser", text, tone });
  }

  #listen() {
    const pc = this.#pc;
    const signaling = this.#signaling;
    pc.onnegotiationneeded = () => this.#offer();
    pc.onicecandidate = ({ candidate }) => this.#sendCandidate(candidate);
    pc.ontrack = ({ track }) => this.#tell("track", { track });
    pc.oniceconnectionstatechange = () => {
      this.#log(`ICE ${pc.iceConnectionState}`);
      if (pc.iceConnectionState === "failed") this.restart();
      this.#noticeRestart();
      this.#tell("state");
    };
    pc.onconnectionstatechange = () => this.#tell("state");
    pc.onsignalingstatechange = () => this.#tell("state");
    signaling.addEventListener("signal", ({ detail }) => this.#take(detail.data));
    signaling.addEventListener("peer", ({ detail }) => this.#greet(detail));
    signaling.addEventListener("disconnected", () => this.#noteSignaling("reconnecting", "busy"));
    signaling.addEventListener("reconnected", ({ detail }) => this.#resume(detail));
    signaling.addEventListener("closed", ({ detail }) => this.#noteSignaling(`closed: ${detail.reason}`, "bad"));
    signaling.addEventListener("refused", ({ detail }) => this.#log(`signaling: ${detail.message}`, "bad"));
  }

  // Perfect negotiation, as in https://w3c.github.io/webrtc-pc/#perfect-negotiation-example

  async #offer() {
    // What comes instead is answered first; then this is called again if need be.
    if (await this.#newcomerOffers()) return;
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#sendDescription();
    } catch (error) {
      this.#log(String(error), "bad");
    } finally {
      this.#makingOffer = false;
    }
  }

  /** Tells if who came later makes the first offer, for which it is left a moment. */
  #newcomerOffers() {
    const newcomer = this.#signaling.peers.get(PYTHON)?.polite === false;
    if (!newcomer || this.#pc.remoteDescription) return false;
    return new Promise((resolve) => {
      this.#offerCame = () => resolve(true);
      setTimeout(() => resolve(false), FIRST_OFFER_MS);
    });
  }

  async #take({ description, candidate, custom }) {
    try {
      if (custom) this.#tell("news", custom);
      else if (description) await this.#takeDescription(description);
      else if (candidate) await this.#takeCandidate(candidate);
    } catch (error) {
      this.#log(String(error), "bad");
    }
  }

  async #takeDescription(description) {
    const pc = this.#pc;
    const ready = !this.#makingOffer && (pc.signalingState === "stable" || this.#settingRemoteAnswer);
    const collision = description.type === "offer" && !ready;
    const polite = this.#signaling.peers.get(PYTHON)?.polite ?? true;
    this.#tell("log", { who: "Python", text: describe(description) });
    if (description.type === "offer") this.#offerCame?.();
    this.#ignoreOffer = !polite && collision;
    if (this.#ignoreOffer) return this.#log("ignores this offer: its own is under way");
    if (collision) this.#log("takes its own offer back");
    // An offer with other credentials than those in use restarts ICE.
    const restarts = pc.remoteDescription && ufragOf(pc.remoteDescription) !== ufragOf(description);
    if (description.type === "offer" && restarts) this.#restartBegan ??= performance.now();
    this.#settingRemoteAnswer = description.type === "answer";
    try {
      await pc.setRemoteDescription(description);
    } finally {
      this.#settingRemoteAnswer = false;
    }
    if (description.type === "offer") {
      await pc.setLocalDescription();
      this.#sendDescription();
    }
    this.#listenToIce();
    return undefined;
  }

  async #takeCandidate(candidate) {
    try {
      await this.#pc.addIceCandidate(candidate);
      this.#noteCandidate("Python", candidate);
    } catch (error) {
      // Candidates of an offer that was ignored fit nothing.
      if (!this.#ignoreOffer) throw error;
    }
  }

  #noteCandidate(who, { candidate }) {
    const [, , transport, , address, port] = candidate.split(" ");
    if (transport?.toLowerCase() !== "udp") return;
    const found = this.#candidates[who];
    found.push(`${address}:${port}`);
    if (found.length > 1) return;
    setTimeout(() => {
      this.#tell("log", { who, text: `candidates ${found.splice(0).join(", ")}` });
    }, TOGETHER_MS);
  }

  #sendDescription() {
    const description = this.#pc.localDescription;
    this.#log(describe(description));
    this.#send({ description });
  }

  #sendCandidate(candidate) {
    if (candidate === null) return;
    this.#noteCandidate("browser", candidate);
    this.#send({ candidate: candidate.toJSON() });
  }

  async #send(data) {
    try {
      await this.#signaling.send(data, PYTHON);
    } catch (error) {
      this.#log(`not sent: ${error.message}`, "bad");
    }
  }

  // Signaling.

  #pythonPresent() {
    for (const info of this.#signaling.peers.values()) this.#instances.add(info.instance);
    if (this.#signaling.peers.has(PYTHON)) return undefined;
    return new Promise((resolve) => {
      this.#signaling.addEventListener("peer", ({ detail }) => {
        if (detail.peer === PYTHON && detail.event === "joined") resolve();
      });
    });
  }

  /** Tells whether Python can be reached by signaling. */
  #tellSignaling() {
    const isThere = this.#signaling.peers.get(PYTHON)?.state === "joined";
    this.#tell("signaling", { state: isThere ? "connected" : "Python is away" });
  }

  #greet({ peer, event, instance }) {
    this.#tellSignaling();
    const newcomer = peer === PYTHON && event === "joined" && !this.#instances.has(instance);
    this.#instances.add(instance);
    // An offer that was made while it wasn't there is for this one.
    if (newcomer && !this.#makingOffer && this.#pc.signalingState === "have-local-offer") this.#sendDescription();
  }

  #resume({ resumed }) {
    this.#log(`signaling ${resumed ? "continues" : "has a new session"}`, "good");
    this.#tellSignaling();
    if (resumed) return;
    // What was under way may or may not have arrived, in either direction. If Python isn't back
    // yet, it gets the offer when it is.
    const offered = this.#pc.signalingState === "have-local-offer" && !this.#makingOffer;
    for (const { instance } of this.#signaling.peers.values()) this.#instances.add(instance);
    if (offered && this.#signaling.peers.has(PYTHON)) this.#sendDescription();
    if (["disconnected", "failed"].includes(this.#pc.connectionState)) this.restart();
  }

  #noteSignaling(state, tone) {
    this.#log(`signaling ${state}`, tone);
    this.#tell("signaling", { state });
  }

  // ICE.

  get #ice() {
    return this.#pc.sctp?.transport?.iceTransport ?? this.#pc.getSenders()[0]?.transport?.iceTransport;
  }

  #listenToIce() {
    if (this.#ice) this.#ice.onselectedcandidatepairchange = () => this.#noticeRestart();
    this.#noticeRestart();
  }

  /** Looks whether the newest generation is in use. */
  #noticeRestart() {
    const newest = ufragOf(this.#pc.currentLocalDescription);
    const pair = this.#ice?.getSelectedCandidatePair?.();
    if (newest === undefined || newest === this.#ufrag || pair?.local?.usernameFragment !== newest) return;
    this.#ufrag = newest;
    if (this.#restartBegan === null) return;
    const ms = performance.now() - this.#restartBegan;
    this.#restartBegan = null;
    this.#log(`ICE restarted in ${Math.round(ms)} ms`, "good");
    this.#tell("restarted", { ms });
  }

  // The round trip.

  #sendPulse() {
    if (this.#pulse.readyState !== "open") return;
    if (this.#unanswered > 1) this.#tell("pulse", { rtt: null });
    this.#unanswered += 1;
    // What waits here would come much too late.
    if (this.#pulse.bufferedAmount === 0) this.#pulse.send(String(performance.now()));
  }

  #takePulse(text) {
    const [sent, frames] = text.split(" ").map(Number);
    this.#unanswered = 0;
    this.#tell("pulse", { rtt: performance.now() - sent, frames });
  }
}
