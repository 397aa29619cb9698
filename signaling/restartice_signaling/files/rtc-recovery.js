// Restarts the ICE of a browser's RTCPeerConnection when its path is lost or the network changes.
// rtc-negotiator.js uses it.

const WORKING = ["connected", "completed"];
const LOST = ["disconnected", "failed"];
const TIMES = {
  disconnectedFor: 1000,
  settleTime: 500,
  giveWay: 1000,
  firstWait: 3000,
  longestWait: 15_000,
};

/** Calls restartIce() when that is due. The program offers. */
export class Recovery {
  #pc;
  #times;
  #isPolite;
  #hasPeer;
  #tell;
  #listening = new AbortController();
  #timer = null;
  #worked = false;
  #lostAt = null;
  #networkChanged = false;
  #networkType = globalThis.navigator?.connection?.type;
  #trouble = null;
  #since = 0; // when the trouble began
  #notBefore = 0;
  #wait;
  #attempts = 0;

  /**
   * @param {RTCPeerConnection} pc
   * @param {object|boolean} times See rtc-negotiator.d.ts; false to restart nothing.
   * @param {object} program isPolite() and hasPeer(), which return booleans, and tell(type, detail),
   *   which is called for the events lost, back and restart.
   */
  constructor(pc, times, { isPolite, hasPeer, tell }) {
    this.#pc = pc;
    this.#times = times && { ...TIMES, ...times };
    for (const [name, value] of Object.entries(this.#times)) {
      const isWrong = !(Number.isFinite(value) && value >= 0) || (value === 0 && name.endsWith("Wait"));
      if (isWrong) throw new RangeError(`${name} must be a positive number of milliseconds, not ${value}`);
    }
    this.#wait = this.#times.firstWait;
    this.#isPolite = isPolite;
    this.#hasPeer = hasPeer;
    this.#tell = tell;
    const { signal } = this.#listening;
    const network = globalThis.navigator?.connection;
    pc.addEventListener("iceconnectionstatechange", () => this.#followState(), { signal });
    pc.addEventListener("signalingstatechange", () => this.look(), { signal });
    globalThis.addEventListener?.("online", () => this.#noteNetwork(), { signal });
    network?.addEventListener?.("change", () => this.#compareNetwork(network), { signal });
  }

  close() {
    this.#listening.abort();
    clearTimeout(this.#timer);
  }

  /** Restarts ICE if that is due, or sets the timer to when it will be. */
  look() {
    clearTimeout(this.#timer);
    if (!this.#times || this.#listening.signal.aborted) return;
    const now = performance.now();
    const reason = this.#reason;
    if (reason !== this.#trouble) [this.#trouble, this.#since] = [reason, now];
    if (reason === null && WORKING.includes(this.#pc.iceConnectionState)) {
      this.#attempts = 0;
      this.#wait = this.#times.firstWait;
    }
    if (reason === null || this.#pc.signalingState !== "stable" || !this.#hasPeer()) return;
    const due = Math.max(this.#since + this.#delayFor(reason), this.#notBefore);
    if (now < due) {
      this.#timer = setTimeout(() => this.look(), due - now);
      return;
    }
    this.#notBefore = now + this.#wait;
    this.#wait = Math.min(2 * this.#wait, this.#times.longestWait);
    this.#networkChanged = false;
    this.#attempts += 1;
    this.#tell("restart", { reason, attempt: this.#attempts });
    this.#pc.restartIce();
    this.look(); // sets the timer for the next attempt, if this one can't be offered
  }

  get #reason() {
    const state = this.#pc.iceConnectionState;
    if (["new", "closed"].includes(state) || this.#pc.signalingState === "closed") return null;
    if (this.#networkChanged) return "network changed";
    return LOST.includes(state) ? state : null;
  }

  #delayFor(reason) {
    const { disconnectedFor, settleTime, giveWay } = this.#times;
    if (reason === "network changed") return settleTime;
    return (reason === "disconnected" ? disconnectedFor : 0) + (this.#isPolite() ? giveWay : 0);
  }

  #followState() {
    const state = this.#pc.iceConnectionState;
    if (WORKING.includes(state)) {
      this.#worked = true;
      if (this.#lostAt !== null) this.#tell("back", { seconds: (performance.now() - this.#lostAt) / 1000 });
      this.#lostAt = null;
    } else if (this.#worked && this.#lostAt === null && LOST.includes(state)) {
      this.#lostAt = performance.now();
      this.#tell("lost", { state });
    }
    this.look();
  }

  /** Compares the kind of network, such as "wifi"; all else that changes is an estimate. */
  #compareNetwork({ type }) {
    if (type === this.#networkType) return;
    this.#networkType = type;
    if (type !== "none") this.#noteNetwork();
  }

  #noteNetwork() {
    if (!this.#worked) return;
    this.#networkChanged = true;
    this.#notBefore = 0;
    if (this.#times) this.#wait = this.#times.firstWait;
    this.look();
  }
}
