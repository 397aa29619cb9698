// Negotiates for a browser's RTCPeerConnection, and recovers it, as restartice's Negotiator does for
// Python's. No dependencies but rtc-in-band.js and rtc-recovery.js beside it.
//
//   const signaling = new RtcSignal("wss://example.org", { room: "robot-7", token });
//   const negotiator = new Negotiator(pc, signaling, { inBand: true });
//   negotiator.addEventListener("lost", () => …);
//   await signaling.connect();
//
// Events: lost {state}, back {seconds}, restart {reason, attempt}, replaced {description},
// error {error}, which is logged unless its default is prevented.

import { InBand, ufragsIn, withAttribute } from "./rtc-in-band.js";
import { Recovery } from "./rtc-recovery.js";

// For how long the first offer is left to who came later into the room.
const FIRST_OFFER_MS = 300;
// After how long without an answer an offer is sent again: first, and at most. It doubles each time.
const ANSWER_MS = 10_000;
const LONGEST_ANSWER_MS = 60_000;
// How many negotiations may follow one another at once, and how many a second after that.
const BURST = 30;
const RATE = 1;
// An answer has this attribute with the session id and the version of its offer.
const OFFER = /^a=x-restartice-offer:(\S+) (\S+)/m;
// The lines that may differ in two answers to the same offer.
const VARIABLE = /^(o=.*|c=.*|a=candidate:.*|a=end-of-candidates|a=rtcp:.*)\r?\n|(?<=^m=)(\w+ \d+)/gm;

const originOf = (sdp) => /^o=\S+ (\S+ \S+)/m.exec(sdp)?.[1] ?? "";

/** Returns an answer that names its offer, by which the other side tells it from other answers. */
const naming = (answer, offer) => withAttribute(answer, `x-restartice-offer:${originOf(offer.sdp)}`);

/** Tells if an answer names another offer of the same connection; undefined if it names none. */
const namesAnother = (answer, offer) => {
  const [, id, version] = OFFER.exec(answer) ?? [];
  const [ourId, ourVersion] = originOf(offer).split(" ");
  return id && id === ourId ? version !== ourVersion : undefined;
};

const fingerprintsIn = (sdp) =>
  [...sdp.matchAll(/^a=fingerprint:sha-256 (\S+)/gim)].map(([, value]) => value.toUpperCase()).sort();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Negotiator extends EventTarget {
  #pc;
  #signaling;
  #options;
  #recovery;
  #inBand = null;
  #closed = false;
  #listening = new AbortController();
  #handling = Promise.resolve(); // what comes is handled one by one
  #sending = Promise.resolve(); // and what goes sent
  #waiting = 0; // messages that are being handled, or will be
  #changed = []; // callers that wait for a peer
  #offline = false; // whether the signaling is lost for now
  #ended = false;
  // The specification's program. What comes while an offer is being made waits until it is made.
  #needed = false;
  #making = null;
  #ignoreOffer = false;
  #seen = new Set(); // the username fragments of the other side's descriptions
  #fingerprints = []; // of the other side's certificates
  // Politeness.
  #settled;
  #known;
  #answeredFirst;
  #instances = new Map(); // since when each is there
  #offerCame = null;
  // The offer that waits for its answer.
  #overdue = null;
  #repeats = 0;
  #surplus = 0; // how many further answers may come for one that was answered
  #lastAnswer = "";
  #ignored = null;
  #left = BURST;
  #leftAt = 0;

  /** How many offers of the other side have come while ours was open. */
  collisions = 0;

  /** rtc-negotiator.d.ts describes the arguments and the events. */
  constructor(pc, signaling, options = {}) {
    super();
    if (typeof signaling?.send !== "function") throw new TypeError("signaling must have a method send()");
    this.#pc = pc;
    this.#signaling = signaling;
    this.#options = options;
    if (options.inBand) {
      const server = { send: (message) => this.#sendByServer(message) };
      this.#inBand = new InBand(pc, server, (message) => this.#enqueue(message), () => this.#agree());
      this.#inBand.waiting = () => this.#waiting;
    }
    this.#listen(pc, {
      negotiationneeded: () => this.#negotiate(),
      icecandidate: ({ candidate }) => candidate && this.#sendCandidate(candidate),
      iceconnectionstatechange: () => this.#regroup(),
      signalingstatechange: () => this.#followSignaling(),
    });
    this.#listen(signaling, {
      signal: ({ detail }) => this.#hear(detail),
      connected: () => this.#regroup(),
      peer: ({ detail }) => this.#greet(detail),
      disconnected: () => (this.#offline = true),
      closed: () => (this.#ended = true),
      reconnected: ({ detail }) => this.#resume(detail),
      ice: ({ detail }) => this.#useServers(detail.iceServers),
    });
    this.#recovery = new Recovery(pc, options.recovery ?? true, {
      isPolite: () => this.polite,
      hasPeer: () => this.#hasPeer,
      tell: (type, detail) => this.#tell(type, detail),
    });
    this.#useServers(signaling.iceServers);
  }

  /** Whether this side gives way when both make an offer; false while that is open. */
  get polite() {
    return this.#knownPoliteness ?? false;
  }

  /** Whether negotiation needs no signaling at the moment, as the data channel carries it. */
  get inBand() {
    return this.#inBand?.works ?? false;
  }

  /** Takes a message of the other side, if the signaling has no event `signal` for it. */
  receive(message) {
    const { description, candidate } = message ?? {};
    const taken = description ? { description } : { candidate };
    if (this.#closed || (!description && candidate === undefined)) return;
    if (this.#inBand) this.#inBand.takeFromServer(taken);
    else this.#enqueue(taken);
  }

  /** Stops negotiating. Neither the connection nor the signaling is closed. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.#listening.abort();
    clearTimeout(this.#overdue);
    this.#recovery.close();
    this.#inBand?.close();
    this.#regroup();
  }

  #listen(target, listeners) {
    for (const [type, listener] of Object.entries(listeners)) {
      target?.addEventListener?.(type, listener, { signal: this.#listening.signal });
    }
  }

  #tell(type, detail) {
    return this.dispatchEvent(new CustomEvent(type, { detail, cancelable: true }));
  }

  #tellError(error) {
    if (this.#closed || this.#pc.signalingState === "closed") return;
    if (this.#tell("error", { error })) console.warn("negotiation:", error);
  }

  // Who is there.

  /** Returns what the room knows of the other side; undefined if it isn't there. */
  get #info() {
    const { peers } = this.#signaling;
    if (this.#options.peer !== undefined) return peers?.get(this.#options.peer);
    return peers?.size === 1 ? [...peers.values()][0] : undefined;
  }

  get #isThere() {
    return !this.#ended && (!this.#signaling.peers || this.#info !== undefined);
  }

  get #hasPeer() {
    return this.inBand || this.#isThere;
  }

  async #until(condition) {
    while (!this.#closed && !condition()) {
      await new Promise((resolve) => this.#changed.push(resolve));
    }
  }

  #regroup() {
    const info = this.#info;
    if (info) this.#noteInstance(info);
    for (const resolve of this.#changed.splice(0)) resolve();
    this.#recovery.look();
  }

  /** Returns whether this instance wasn't there before. */
  #noteInstance({ instance }) {
    if (this.#instances.has(instance)) return false;
    this.#instances.set(instance, performance.now());
    return true;
  }

  #greet({ peer, event }) {
    const info = this.#info;
    const newcomer = event === "joined" && info?.peer === peer && this.#noteInstance(info);
    this.#regroup();
    // An offer that the peer before it didn't answer is for this one.
    if (newcomer && !this.inBand && !this.#making && this.#isOffering) this.#sendOffer();
  }

  #resume({ resumed }) {
    this.#offline = false;
    this.#regroup();
    if (resumed || this.inBand) return;
    // What was under way may or may not have arrived, in either direction.
    if (this.#isOffering && !this.#making) {
      this.#surplus += 1;
      this.#sendOffer();
    }
    if (["disconnected", "failed"].includes(this.#pc.connectionState)) this.#pc.restartIce();
  }

  #useServers(iceServers) {
    // They are used from the next gathering on, which the next restart makes.
    if (!iceServers?.length || this.#pc.signalingState === "closed") return;
    try {
      this.#pc.setConfiguration({ ...this.#pc.getConfiguration(), iceServers });
    } catch (error) {
      this.#tellError(error);
    }
  }

  // Politeness.

  get #knownPoliteness() {
    this.#known = this.#info?.polite ?? this.#known;
    return this.#settled ?? this.#options.polite ?? this.#known ?? this.#answeredFirst;
  }

  #agree() {
    // A server that starts anew may say otherwise, to one side earlier.
    this.#settled = this.#knownPoliteness;
    this.#regroup();
  }

  #givesWayTo(offer) {
    return this.#knownPoliteness ?? this.#losesTo(offer);
  }

  /** Tells if the certificates of both sides decide for the other offer. */
  #losesTo(offer) {
    const [ours, theirs] = [this.#pc.localDescription, offer].map(({ sdp }) => fingerprintsIn(sdp).at(-1) ?? "");
    return ours > theirs;
  }

  // Offers.

  get #isOffering() {
    return this.#pc.signalingState === "have-local-offer";
  }

  async #negotiate() {
    this.#needed = true;
    await this.#until(() => this.#hasPeer);
    await this.#leaveFirstOffer();
    while (this.#waiting) await this.#handling;
    if (this.#closed || !this.#needed || this.#making || this.#pc.signalingState !== "stable") return;
    this.#needed = false;
    this.#making = this.#makeOffer();
    await this.#making;
    this.#making = null;
  }

  async #makeOffer() {
    try {
      await this.#keepPace();
      if (this.#closed) return;
      this.#inBand?.prepare();
      await this.#pc.setLocalDescription();
    } catch (error) {
      this.#tellError(error);
      return;
    }
    this.#sendOffer();
  }

  /** Leaves the first offer to a newcomer, if it makes one in time, so that ours doesn't collide. */
  async #leaveFirstOffer() {
    const info = this.#info;
    if (info?.polite !== false || info.state !== "joined" || this.#pc.currentRemoteDescription) return;
    this.#noteInstance(info);
    const left = this.#instances.get(info.instance) + FIRST_OFFER_MS - performance.now();
    if (left <= 0) return;
    await Promise.race([new Promise((resolve) => (this.#offerCame = resolve)), pause(left)]);
  }

  /** Puts a negotiation off if there is no end to them. */
  async #keepPace() {
    const now = performance.now() / 1000;
    this.#left = Math.min(BURST, this.#left + Math.max(0, now - this.#leftAt) * RATE) - 1;
    this.#leftAt = now;
    if (this.#left < 0) await pause((-this.#left / RATE) * 1000);
  }

  #sendOffer() {
    this.#send("pendingLocalDescription");
    clearTimeout(this.#overdue);
    const timeout = Math.min(ANSWER_MS * 2 ** Math.min(this.#repeats, 10), LONGEST_ANSWER_MS);
    this.#overdue = setTimeout(() => this.#repeatOffer(), timeout);
  }

  /** Sends the offer again, or gives way if both sides seem to wait for each other's answer. */
  #repeatOffer() {
    if (this.#closed || !this.#isOffering) return;
    const theirs = this.#ignored;
    const isReachable = this.inBand || (!this.#offline && this.#isThere && this.#info?.state !== "away");
    if (isReachable && theirs && this.#repeats >= (this.#losesTo(theirs) ? 1 : 3)) {
      this.#enqueue({ description: theirs, giveWay: true });
      return;
    }
    if (isReachable) {
      this.#repeats += 1;
      this.#surplus += 1;
    }
    this.#sendOffer();
  }

  #followSignaling() {
    if (!this.#isOffering) {
      clearTimeout(this.#overdue);
      this.#repeats = 0;
      this.#ignored = null;
    }
    // On its way back to stable the connection finds out again if negotiation is needed.
    if (this.#pc.signalingState === "stable") this.#needed = false;
  }

  // What comes.

  #hear({ from, data }) {
    const expected = this.#options.peer ?? this.#info?.peer ?? from;
    if (from === expected) this.receive(data ?? {});
  }

  #enqueue(message) {
    this.#waiting += 1;
    this.#handling = this.#handling
      .then(() => this.#closed || this.#handle(message))
      .catch((error) => this.#tellError(error))
      .finally(() => (this.#waiting -= 1));
  }

  async #handle({ description, candidate, giveWay }) {
    await this.#making;
    if (!description) await this.#addCandidate(candidate);
    else if (description.type === "offer") await this.#takeOffer(description, giveWay);
    else await this.#takeAnswer(description);
  }

  async #takeOffer(offer, giveWay = false) {
    if (this.#isOfAnother(offer)) {
      this.#tell("replaced", { description: offer });
      return;
    }
    const collides = this.#isOffering;
    this.#note(offer);
    this.collisions += collides && !giveWay ? 1 : 0;
    this.#ignoreOffer = collides && !giveWay && !this.#givesWayTo(offer);
    if (this.#ignoreOffer) {
      this.#ignored = offer;
      return;
    }
    if (collides) this.#surplus = 0;
    this.#offerCame?.();
    await this.#keepPace();
    if (this.#closed) return;
    await this.#pc.setRemoteDescription(offer); // rolls our own back if needed
    if (/^m=application /m.test(offer.sdp)) this.#inBand?.prepare();
    await this.#pc.setLocalDescription();
    // Browsers keep but one of several in their descriptions.
    this.#fingerprints = fingerprintsIn(offer.sdp);
    this.#answeredFirst ??= true;
    this.#send("currentLocalDescription");
  }

  async #takeAnswer(answer) {
    const content = answer.sdp.replace(VARIABLE, "");
    const offer = this.#isOffering ? this.#pc.pendingLocalDescription : null;
    // An answer to an earlier offer, or a second one, to an offer that was sent twice.
    const isSecond = this.#surplus > 0 && content === this.#lastAnswer;
    if (!offer || (namesAnother(answer.sdp, offer.sdp) ?? isSecond)) {
      this.#surplus = Math.max(0, this.#surplus - 1);
      return;
    }
    this.#lastAnswer = content;
    this.#note(answer);
    await this.#pc.setRemoteDescription(answer);
    this.#fingerprints = fingerprintsIn(answer.sdp);
    this.#answeredFirst ??= false;
  }

  #note({ sdp }) {
    for (const ufrag of ufragsIn(sdp)) this.#seen.add(ufrag);
  }

  /** Tells if an offer is of another program or page, whose certificate isn't that of this call. */
  #isOfAnother({ sdp }) {
    const found = fingerprintsIn(sdp);
    return found.length > 0 && this.#fingerprints.length > 0 && !found.some((one) => this.#fingerprints.includes(one));
  }

  async #addCandidate(candidate) {
    if (!candidate) return;
    try {
      await this.#pc.addIceCandidate(candidate);
    } catch (error) {
      // Those of an offer that was ignored, or replaced meanwhile, fit nothing.
      const ufrag = candidate.usernameFragment;
      const current = [this.#pc.remoteDescription, this.#pc.currentRemoteDescription];
      const isUsed = current.some((description) => description && ufragsIn(description.sdp).includes(ufrag));
      if (!this.#ignoreOffer && (isUsed || !this.#seen.has(ufrag))) throw error;
    }
  }

  // What goes.

  async #sendByServer(message) {
    await this.#until(() => this.#isThere);
    if (!this.#closed) await this.#signaling.send(message, this.#info?.peer);
  }

  #queue(job) {
    this.#sending = this.#sending.then(() => this.#closed || job()).catch((error) => this.#tellError(error));
  }

  /** Sends the description as it is when its turn comes, unless it was rolled back. */
  #send(which) {
    this.#queue(async () => {
      let description = this.#pc[which];
      if (!description) return;
      if (description.type === "answer") description = naming(description, this.#pc.currentRemoteDescription);
      if (this.#inBand) await this.#inBand.sendDescription(description);
      else await this.#sendByServer({ description: { type: description.type, sdp: description.sdp } });
    });
  }

  /** Sends a candidate after its description, if that is still in use. */
  #sendCandidate(candidate) {
    this.#queue(async () => {
      const sdp = this.#pc.localDescription?.sdp ?? "";
      const ufrag = candidate.usernameFragment;
      // Who comes later gets a description with all candidates.
      if (!this.#hasPeer || (ufrag && !ufragsIn(sdp).includes(ufrag))) return;
      if (this.#inBand) await this.#inBand.sendCandidate(candidate.toJSON());
      else await this.#sendByServer({ candidate: candidate.toJSON() });
    });
  }
}
