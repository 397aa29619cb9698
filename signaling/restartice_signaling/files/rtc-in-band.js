// The data channel in which two Negotiators negotiate, once they are connected, with another
// signaling behind it. rtc-negotiator.js uses it; Python's Negotiator has the same with in_band=True.

const LABEL = "restartice-negotiation";
const CHANNEL_ID = 1023; // the highest that Chromium allows
const VERSION = 1;
// For how long to wait for an acknowledgment, before a message is sent by the server, too.
const PATIENCE_MS = 1000;
// A description that is sent by the server has its number in the channel in this attribute.
const NUMBER = /^a=x-restartice-number:(\d{1,15})\r?\n/m;
// How many messages may wait for the Negotiator. Others aren't acknowledged, so come by the server.
const MOST_WAITING = 1000;
// How many candidates may wait for their description.
const MOST_HELD = 100;

/** Returns the username fragments in a description. */
export const ufragsIn = (sdp) => [...sdp.matchAll(/^a=ice-ufrag:(\S+)/gm)].map(([, ufrag]) => ufrag);

const originOf = ({ type, sdp }) => `${type} ${/^o=.*/m.exec(sdp)?.[0].trim() ?? ""}`;

const contentOf = (description) => [originOf(description), ...ufragsIn(description.sdp)].join(" ");

/** Returns a description with one more attribute of the session. */
export const withAttribute = ({ type, sdp }, attribute) => {
  const [session, ...media] = sdp.split(/\r?\n(?=m=)/);
  const head = `${session.trimEnd()}\r\na=${attribute}`;
  return { type, sdp: `${[head, ...media].join("\r\n").trimEnd()}\r\n` };
};

const numbered = (description, number) => withAttribute(description, `x-restartice-number:${number}`);

/**
 * Each message in the channel has a number, which the other side acknowledges. What isn't
 * acknowledged in time is sent by the server, too; the receiver drops what it has already.
 */
export class InBand {
  #pc;
  #server;
  #deliver;
  #onAgreed;
  #channel = null;
  #doubted = false; // whether the last message wasn't acknowledged in time
  #number = 0;
  #unacknowledged = new Map(); // number: {promise, resolve, done}
  #timers = new Set();
  // Our last description, its number, and the number of theirs before it.
  #lastSent = null;
  #lastNumber = 0;
  #repliedTo = 0;
  // The other side's last description: its number, and what it is if it came without one.
  #taken = 0;
  #unnumbered = "";
  #ufrags = new Set();
  #held = [];

  /** Whether the other side uses the channel, too, and drops what it has already. */
  agreed = false;
  /** How many messages wait for the Negotiator. */
  waiting = () => 0;

  /**
   * @param {RTCPeerConnection} pc
   * @param {object} server send(message), which returns a promise.
   * @param {function} deliver Called with each message, {description} or {candidate}.
   * @param {function} onAgreed Called when the other side turns out to use the channel, too.
   */
  constructor(pc, server, deliver, onAgreed) {
    this.#pc = pc;
    this.#server = server;
    this.#deliver = deliver;
    this.#onAgreed = onAgreed;
  }

  /** Whether messages need no server at the moment. */
  get works() {
    const lost = ["disconnected", "failed", "closed"].includes(this.#pc.iceConnectionState);
    return this.#isOpen && !lost && !this.#doubted;
  }

  get #isOpen() {
    return this.agreed && this.#channel?.readyState === "open";
  }

  /** Makes the channel, if there is none yet. */
  prepare() {
    if (this.#channel) return;
    this.#channel = this.#pc.createDataChannel(LABEL, { negotiated: true, id: CHANNEL_ID });
    this.#channel.onopen = () => this.#say({ hello: VERSION });
    this.#channel.onmessage = ({ data }) => this.#receive(data);
  }

  close() {
    for (const timer of this.#timers) clearTimeout(timer);
    if (this.#channel) {
      this.#channel.onopen = this.#channel.onmessage = null;
      this.#channel.close();
    }
  }

  /** Sends a description in the channel, and by the server if it isn't acknowledged. */
  async sendDescription({ type, sdp }) {
    const description = { type, sdp };
    const last = this.#lastSent;
    this.#lastSent = description;
    let arrival = this.#unacknowledged.get(this.#lastNumber);
    if (!arrival || contentOf(last) !== contentOf(description)) {
      arrival = this.#post({ description });
      this.#lastNumber = arrival ? this.#number : 0;
      this.#repliedTo = this.#taken;
    }
    if (!arrival) {
      await this.#server.send({ description });
    } else if (!(await this.#arrives(arrival))) {
      await this.#sendByServer({ description: numbered(description, this.#lastNumber) }, arrival);
    }
  }

  /** Sends a candidate in the channel, and by the server if it isn't acknowledged. */
  async sendCandidate(candidate) {
    const arrival = this.#post({ candidate });
    if (!arrival) {
      await this.#server.send({ candidate });
    } else if (!this.works) {
      await this.#sendByServer({ candidate }, arrival);
    } else {
      this.#arrives(arrival).then((arrived) => {
        if (!arrived) this.#server.send({ candidate }).catch(() => {});
      });
    }
  }

  /** Takes a message that came by the server. */
  takeFromServer(message) {
    const { description } = message;
    if (!description) {
      this.#take(message);
      return;
    }
    const number = Number(NUMBER.exec(description.sdp)?.[1] ?? 0);
    if (number) {
      const { type, sdp } = description;
      this.#takeNumbered({ description: { type, sdp: sdp.replace(NUMBER, "") } }, number);
      if (number === this.#repliedTo) this.#repeatAnswer();
    } else if (!this.agreed || originOf(description) !== this.#unnumbered) {
      this.#unnumbered = originOf(description);
      this.#take(message);
    }
  }

  // Sending.

  #say(message) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(message));
  }

  /** Sends a message in the channel; returns what tells of its acknowledgment, or null. */
  #post(message) {
    if (!this.#isOpen) return null;
    const number = this.#number + 1;
    try {
      this.#say({ id: number, ...message });
    } catch {
      return null; // It is larger than the other side's limit, so the server must carry it.
    }
    this.#number = number;
    const arrival = { done: false };
    arrival.promise = new Promise((resolve) => {
      arrival.resolve = resolve;
    });
    this.#unacknowledged.set(number, arrival);
    return arrival;
  }

  /** Tells whether a message is acknowledged in time. */
  async #arrives(arrival) {
    let timer;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, this.works ? PATIENCE_MS : 0);
      this.#timers.add(timer);
    });
    await Promise.race([arrival.promise, late]);
    clearTimeout(timer);
    this.#timers.delete(timer);
    if (!arrival.done) this.#doubted = true;
    return arrival.done;
  }

  /** Sends by the server; done if the message is acknowledged while that waits for a peer. */
  async #sendByServer(message, arrival) {
    const sending = this.#server.send(message).catch((error) => {
      // The channel delivers it when the path is back.
      if (!this.#isOpen) throw error;
    });
    await Promise.race([sending, arrival.promise]);
    sending.catch(() => {});
  }

  /** Sends the answer by the server again, for an offer that came again. */
  #repeatAnswer() {
    if (this.#lastSent?.type !== "answer" || !this.#unacknowledged.has(this.#lastNumber)) return;
    const description = numbered(this.#lastSent, this.#lastNumber);
    this.#server.send({ description }).catch(() => {});
  }

  // Receiving.

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (typeof message !== "object" || message === null) return;
    if ("hello" in message) {
      this.#agree();
    } else if (Number.isInteger(message.ack)) {
      this.#acknowledge(message.ack);
    } else if (Number.isInteger(message.id) && this.waiting() < MOST_WAITING) {
      this.#say({ ack: message.id });
      this.#handle(message);
    }
  }

  #agree() {
    if (this.agreed) return;
    this.agreed = true;
    // Ours was lost if the other side has made its channel after that.
    this.#say({ hello: VERSION });
    this.#onAgreed();
    // It may be on its way by the server still, and overtaken by what comes next.
    if (this.#lastSent) this.#post({ description: this.#lastSent, again: true });
  }

  #acknowledge(number) {
    const arrival = this.#unacknowledged.get(number);
    this.#unacknowledged.delete(number);
    this.#doubted = false;
    if (!arrival) return;
    arrival.done = true;
    arrival.resolve();
  }

  #handle({ id, again, description, candidate }) {
    if (typeof description?.sdp !== "string") {
      if (candidate !== undefined) this.#take({ candidate });
    } else if (!again) {
      this.#takeNumbered({ description }, id);
    } else if (originOf(description) !== this.#unnumbered) {
      this.#unnumbered = originOf(description);
      this.#takeNumbered({ description }, id);
    }
  }

  #takeNumbered(message, number) {
    if (number <= this.#taken) return;
    this.#taken = number;
    this.#take(message);
  }

  /** Passes a message on; a candidate waits for its description, which came another way. */
  #take(message) {
    const ufrag = message.candidate?.usernameFragment;
    if (this.agreed && ufrag && !this.#ufrags.has(ufrag)) {
      this.#held.push(message);
      if (this.#held.length > MOST_HELD) this.#held.shift();
      return;
    }
    this.#deliver(message);
    if (!message.description) return;
    for (const found of ufragsIn(message.description.sdp)) this.#ufrags.add(found);
    for (const held of this.#held.splice(0)) this.#take(held);
  }
}
