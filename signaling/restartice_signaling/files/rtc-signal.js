// The rtc-signal v1 protocol for browsers: one file, no dependencies. See README.md beside it.
//
//   const signaling = new RtcSignal("wss://example.org", { room: "robot-7", token });
//   signaling.addEventListener("signal", ({ detail }) => …);  // { from, data }
//   await signaling.connect();
//   signaling.send({ description: pc.localDescription }, peer);
//
// Events: signal {from, data}, peer {event, peer, …}, connected {peer} (once), disconnected {reason},
// reconnected {resumed, unacknowledged}, ice {iceServers, expire}, refused {code, message, ref},
// closed {code, reason}. A message of any other type is an event of that type, with its fields.

const SUBPROTOCOL = "rtc-signal.v1";
const FINAL_CODES = new Set([4000, 4001, 4003, 4009]);
const ACK_AFTER_MESSAGES = 16;
const ACK_AFTER_MS = 1000;
const OPEN_TIMEOUT_MS = 10000;
const REPLACED = 4001;
const ENVELOPE = 64; // the size of `seq` and `ack` in a frame

export class RtcSignal extends EventTarget {
  #urls;
  #options;
  #WebSocket;
  #socket = null;
  #session = null;
  #outbox = []; // {seq, text}, not acknowledged yet
  #lastSent = 0; // the newest number
  #sentOnSocket = 0; // the newest number that was sent on this socket
  #lastSeen = 0;
  #unacknowledged = 0; // seen and not acknowledged yet
  #ackTimer = null;
  #beatTimer = null;
  #retryTimer = null;
  #heard = 0;
  #attempt = 0;
  #notBefore = 0;
  #connectedAt = 0; // when a session was last resumed
  #closed = false;
  #opening = null;
  #room = []; // callers that wait for room in the outbox

  peers = new Map();
  peer = null;
  iceServers = [];

  /**
   * @param {string|string[]} url The URL of the server, or the URLs of servers that share rooms.
   * @param {object} options room; peer?, meta?, token? (a string, or a function that returns it),
   *   WebSocket? (a class, if there is no global one).
   */
  constructor(url, options) {
    super();
    this.#urls = Array.isArray(url) ? [...url] : [url];
    this.#options = options;
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    globalThis.addEventListener?.("online", () => this.reconnectNow());
    globalThis.addEventListener?.("pagehide", () => this.close("page hidden"));
  }

  /** Connects and joins the room; rejects if the server refuses the client. */
  connect() {
    return new Promise((resolve, reject) => {
      this.#opening = { resolve, reject };
      this.#dial();
    });
  }

  /**
   * Sends data to a peer, or to "*". Resolves when the message is in the queue; rejects with a
   * RangeError if it is larger than the server's limit, and with a TypeError if it has a lone surrogate.
   */
  async send(data, to = null) {
    while (!this.#closed && this.#outbox.length >= (this.#session?.limits?.maxUnacknowledged ?? 1)) {
      await new Promise((resolve) => this.#room.push(resolve));
    }
    if (this.#closed || !this.#session) throw new Error("the signaling is closed");
    const fields = { type: "signal", data };
    const info = to === null && this.peers.size === 1 ? [...this.peers.values()][0] : this.peers.get(to);
    if (info) {
      fields.to = info.peer;
      fields.instance = info.instance;
    } else if (to !== null) {
      fields.to = to;
    }
    const text = JSON.stringify(fields);
    // JSON writes a lone surrogate as an escape, which the server refuses.
    if (/(^|[^\\])(\\\\)*\\ud[89a-f]/i.test(text)) throw new TypeError("text must be well-formed");
    // The server would close this connection, and each one on which the message came again.
    const most = (this.#session.limits?.maxMessageSize ?? Infinity) - ENVELOPE;
    if (new TextEncoder().encode(text).length > most) throw new RangeError("the message is too large");
    this.#lastSent += 1;
    this.#outbox.push({ seq: this.#lastSent, text });
    this.#flush();
  }

  /** Reconnects at once, for example when the network has changed. */
  reconnectNow() {
    if (this.#closed || !this.#session) return;
    this.#attempt = 0;
    this.#notBefore = 0;
    this.#lose("asked to");
  }

  /** Leaves the room. */
  close(reason = "bye") {
    if (this.#closed) return;
    const socket = this.#socket;
    if (socket?.readyState === 1) {
      this.#flush();
      socket.send(JSON.stringify({ type: "bye", reason }));
    }
    this.#end(1000, reason);
    socket?.close(1000);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #end(code, reason) {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    this.#quiet();
    this.#release();
    this.#opening?.reject(new Error(reason));
    this.#opening = null;
    this.#tell("closed", { code, reason });
  }

  #quiet() {
    clearTimeout(this.#ackTimer);
    clearInterval(this.#beatTimer);
    this.#ackTimer = null;
  }

  #release() {
    for (const resolve of this.#room.splice(0)) resolve();
  }

  async #dial() {
    const { room, peer, meta, token } = this.#options;
    let socket;
    try {
      const hello = { type: "hello", protocol: 1, room, meta: meta ?? {} };
      const name = this.peer ?? peer;
      if (name) hello.peer = name;
      if (token) hello.token = typeof token === "function" ? await token() : token;
      if (this.#closed) return;
      if (this.#session) {
        const { session, key } = this.#session;
        const acknowledged = this.#outbox.length ? this.#outbox[0].seq - 1 : this.#lastSent;
        hello.resume = { session, key, last: this.#lastSeen, acknowledged };
      }
      socket = new this.#WebSocket(this.#urls[0], [SUBPROTOCOL]);
      socket.onopen = () => socket.send(JSON.stringify(hello));
    } catch (error) {
      this.#retry(String(error));
      return;
    }
    this.#socket = socket;
    const deadline = setTimeout(() => this.#drop(socket, 0, "no welcome in time"), OPEN_TIMEOUT_MS);
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heard = Date.now();
      const message = JSON.parse(data);
      if (message.type === "welcome") clearTimeout(deadline);
      this.#take(message);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(deadline);
      this.#drop(socket, code, reason);
    };
    socket.onerror = () => {
      // A browser closes the socket, too; Node doesn't if the handshake was cut.
      if (socket.readyState === 1) return;
      clearTimeout(deadline);
      this.#drop(socket, 0, "the connection failed");
    };
  }

  #lose(reason) {
    const socket = this.#socket;
    if (socket) this.#drop(socket, 0, reason);
    else if (this.#retryTimer) this.#retry(reason);
  }

  #drop(socket, code, reason) {
    if (socket !== this.#socket || this.#closed) return;
    this.#socket = null;
    socket.onopen = socket.onclose = socket.onmessage = socket.onerror = null;
    try {
      socket.close();
    } catch {
      // It was never open.
    }
    this.#quiet();
    // An earlier attempt may have reached the server late and replaced this connection.
    const byOurselves = code === REPLACED && Date.now() - this.#connectedAt < OPEN_TIMEOUT_MS;
    if ((FINAL_CODES.has(code) && !byOurselves) || this.#opening) {
      this.#end(code, reason || "the server can't be reached");
      return;
    }
    this.#tell("disconnected", { reason });
    this.#retry(reason);
  }

  #retry() {
    if (this.#closed) return;
    clearTimeout(this.#retryTimer);
    this.#urls.push(this.#urls.shift());
    const pause = Math.random() * Math.min(7, 0.3 * this.#attempt ** 2) * 1000;
    this.#attempt += 1;
    this.#retryTimer = setTimeout(
      () => {
        this.#retryTimer = null;
        this.#dial();
      },
      Math.max(pause, this.#notBefore - Date.now()),
    );
  }

  #take(message) {
    if (Number.isInteger(message.ack)) this.#acknowledged(message.ack);
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "signal":
      case "peer":
        return this.#takeInOrder(message);
      case "ack":
        return this.#acknowledged(message.seq);
      case "ping":
        return this.#say({ type: "pong", t: message.t });
      case "ice":
        this.iceServers = message.iceServers;
        return this.#tell("ice", { iceServers: message.iceServers, expire: message.expire });
      case "goaway": {
        const [low, high] = message.reconnectIn;
        this.#notBefore = Date.now() + (low + Math.random() * (high - low)) * 1000;
        return undefined;
      }
      case "error":
        if (message.retryAfter) this.#notBefore = Date.now() + Math.random() * message.retryAfter * 1000;
        if (message.fatal && this.#opening) {
          this.#opening.reject(Object.assign(new Error(message.message), { code: message.code }));
          this.#opening = null;
          return this.#end(4000, message.message);
        }
        if (message.code !== "resume-expired") this.#tell("refused", message);
        return undefined;
      case "pong":
        return undefined;
      default:
        return this.#tell(message.type, message);
    }
  }

  #welcome(message) {
    const first = this.#session === null;
    const lost = this.#outbox.length;
    this.#session = message;
    this.peer = message.peer;
    this.#attempt = 0;
    this.#connectedAt = message.resumed ? Date.now() : 0;
    if (message.resumed) {
      this.#acknowledged(message.last);
    } else {
      this.#outbox = [];
      this.#lastSent = this.#lastSeen = this.#unacknowledged = 0;
      this.peers = new Map(message.peers.map((info) => [info.peer, info]));
    }
    this.#sentOnSocket = this.#outbox.length ? this.#outbox[0].seq - 1 : this.#lastSent;
    this.#beat(message.heartbeat);
    this.#say({ type: "ping", t: 0 });
    this.#release();
    this.#flush();
    if (message.iceServers) {
      this.iceServers = message.iceServers;
      this.#tell("ice", { iceServers: message.iceServers, expire: message.iceServersExpire });
    }
    if (first) {
      this.#opening?.resolve(message);
      this.#opening = null;
      this.#tell("connected", { peer: message.peer });
    } else {
      this.#tell("reconnected", {
        resumed: message.resumed,
        unacknowledged: message.resumed ? 0 : lost,
      });
    }
  }

  #beat({ interval, timeout }) {
    clearInterval(this.#beatTimer);
    this.#beatTimer = setInterval(() => {
      if (Date.now() - this.#heard > timeout * 1000) this.#lose("nothing heard");
      else this.#say({ type: "ping", t: Date.now() });
    }, interval * 1000);
  }

  #takeInOrder(message) {
    if (message.seq > this.#lastSeen + 1) {
      // A message is missing; the server sends it again on the next connection.
      this.#lose("a message is missing");
      return;
    }
    const isNew = message.seq === this.#lastSeen + 1;
    if (isNew) this.#lastSeen = message.seq;
    this.#unacknowledged += 1;
    if (this.#unacknowledged >= ACK_AFTER_MESSAGES) this.#ack();
    else this.#ackTimer ??= setTimeout(() => this.#ack(), ACK_AFTER_MS);
    if (!isNew) return;
    if (message.type === "signal") {
      this.#tell("signal", { from: message.from, data: message.data });
      return;
    }
    const known = this.peers.get(message.peer);
    if (message.event === "left") {
      if (known?.instance === message.instance) this.peers.delete(message.peer);
    } else {
      this.peers.set(message.peer, { ...message, state: message.event === "away" ? "away" : "joined" });
    }
    this.#tell("peer", message);
  }

  #ack() {
    clearTimeout(this.#ackTimer);
    this.#ackTimer = null;
    this.#unacknowledged = 0;
    this.#say({ type: "ack", seq: this.#lastSeen });
  }

  #acknowledged(seq) {
    while (this.#outbox.length && this.#outbox[0].seq <= seq) this.#outbox.shift();
    this.#release();
  }

  #say(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #flush() {
    if (this.#socket?.readyState !== 1 || !this.#session) return;
    for (const { seq, text } of this.#outbox) {
      if (seq <= this.#sentOnSocket) continue;
      this.#socket.send(`{"seq":${seq},${text.slice(1)}`);
      this.#sentOnSocket = seq;
    }
  }
}
