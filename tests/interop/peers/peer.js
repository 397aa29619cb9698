// A peer with the browser's interface, for browsers and for Node. `createPeer(platform, tell)`
// returns the function that carries out orders; `platform` has the classes and the media.
globalThis.createPeer = (platform, tell) => {
  const STATES = ["signalingState", "iceGatheringState", "iceConnectionState", "connectionState"];
  const connections = new Map();

  class Counter {
    count = 0;
    gap = 0;
    last = null;
    add = () => {
      const now = performance.now();
      if (this.last !== null) this.gap = Math.max(this.gap, now - this.last);
      this.last = now;
      this.count += 1;
    };
    take() {
      const since = this.last === null ? 0 : performance.now() - this.last;
      const gap = Math.max(this.gap, since);
      this.gap = 0;
      return { count: this.count, gap: Math.round(gap * 10) / 10 };
    }
  }

  class Connection {
    constructor(number) {
      this.number = number;
      this.pc = new platform.RTCPeerConnection({ ...platform.configuration });
      this.senders = {};
      this.counters = {};
      this.stops = [];
      // Numbered messages, and the longest time in which none came.
      this.sent = this.received = 0;
      this.inOrder = true;
      this.numbers = new Set();
      this.flowCounter = new Counter();
      for (const state of STATES) {
        const event = state.toLowerCase() + "change";
        this.pc.addEventListener(event, () => this.tell({ event, state: this.pc[state] }));
      }
      this.pc.addEventListener("negotiationneeded", () => this.tell({ event: "negotiationneeded" }));
      this.pc.addEventListener("icecandidate", ({ candidate }) =>
        this.tell({ event: "icecandidate", candidate: candidate?.toJSON?.() ?? candidate ?? null }),
      );
      this.pc.addEventListener("datachannel", ({ channel }) => this.use(channel));
      this.pc.addEventListener("track", ({ track, receiver, transceiver }) => {
        this.tell({ event: "track", kind: track.kind });
        const counter = (this.counters[track.kind] ??= new Counter());
        this.stops.push(platform.watch(track, counter.add, this.pc, transceiver ?? { receiver }));
      });
    }

    tell(values) {
      tell({ pc: this.number, ...values });
    }

    use(channel) {
      this.channelInUse = channel;
      const opened = () => this.tell({ event: "channel", state: "open" });
      channel.addEventListener("message", ({ data }) => this.receive(data));
      channel.addEventListener("close", () => this.tell({ event: "channel", state: "closed" }));
      if (channel.readyState === "open") opened();
      else channel.addEventListener("open", opened);
    }

    channel({ ordered, maxRetransmits, maxPacketLifeTime }) {
      const options = { ordered, maxRetransmits, maxPacketLifeTime };
      for (const name in options) if (options[name] === undefined) delete options[name];
      this.use(this.pc.createDataChannel("interop", options));
    }

    leave() {
      this.channelInUse.close();
    }

    buffered() {
      return this.channelInUse.bufferedAmount;
    }

    transceiver({ kind, direction, codec }) {
      this.prefer(this.pc.addTransceiver(kind, { direction }), kind, codec);
    }

    // A codec only; what follows its name is a part of its format's parameters.
    prefer(transceiver, kind, codec) {
      if (!codec) return;
      const [type, parameters = ""] = codec.split(" ");
      const codecs = platform.getCapabilities(kind).codecs.filter(
        ({ mimeType, sdpFmtpLine = "" }) => mimeType === type && sdpFmtpLine.includes(parameters),
      );
      if (codecs.length === 0) throw new Error(`there is no ${codec}`);
      transceiver.setCodecPreferences(codecs);
    }

    stop({ index }) {
      this.pc.getTransceivers()[index].stop();
    }

    track({ kind, codec }) {
      const { track, stream, stop } = platform.makeTrack(kind, this.pc);
      if (stop) this.stops.push(stop);
      const sender = this.pc.addTrack(track, ...(stream ? [stream] : []));
      this.senders[kind] = sender;
      const transceiver = this.pc.getTransceivers?.().find((one) => one.sender === sender);
      this.prefer(transceiver, kind, codec);
    }

    encodings({ kind, rids }) {
      const { track, stream, stop } = platform.makeTrack(kind, this.pc);
      if (stop) this.stops.push(stop);
      const sendEncodings = rids.map((rid) => ({ rid }));
      this.pc.addTransceiver(track, { direction: "sendonly", streams: [stream], sendEncodings });
    }

    watch({ kind }) {
      this.pc.addTransceiver(kind, { direction: "recvonly" });
    }

    untrack({ kind }) {
      this.pc.removeTrack(this.senders[kind]);
      delete this.senders[kind];
    }

    restart() {
      this.pc.restartIce();
    }

    async local({ description }) {
      await this.setLocal(description);
      const { localDescription } = this.pc;
      return localDescription && { type: localDescription.type, sdp: localDescription.sdp };
    }

    async setLocal(description) {
      if (description) return this.pc.setLocalDescription(description);
      if (!platform.descriptionNeeded) return this.pc.setLocalDescription();
      const offered = this.pc.signalingState === "have-remote-offer";
      const created = await (offered ? this.pc.createAnswer() : this.pc.createOffer());
      return this.pc.setLocalDescription(created);
    }

    async remote({ description }) {
      await this.pc.setRemoteDescription(description);
    }

    async candidate({ candidate }) {
      await this.pc.addIceCandidate(candidate);
    }

    send({ text }) {
      this.channelInUse.send(text);
    }

    receive(text) {
      if (typeof text !== "string" || !text.startsWith("flow ")) {
        this.tell({ event: "message", text });
        return;
      }
      const number = Number(text.slice(5));
      this.inOrder &&= number === this.received;
      this.numbers.add(number);
      this.received += 1;
      this.flowCounter.add();
    }

    flow({ interval }) {
      clearInterval(this.flowTimer);
      if (!interval) return;
      this.flowTimer = setInterval(() => {
        this.channelInUse.send(`flow ${this.sent}`);
        this.sent += 1;
      }, interval * 1000);
      this.stops.push(() => clearInterval(this.flowTimer));
    }

    flood({ count, size }) {
      for (let i = 0; i < count; i++) {
        this.channelInUse.send(`flow ${this.sent}`.padEnd(size));
        this.sent += 1;
      }
    }

    flowed() {
      const { sent, received, inOrder } = this;
      const different = this.numbers.size;
      return { sent, received, different, inOrder, gap: this.flowCounter.take().gap };
    }

    media() {
      return Object.fromEntries(
        Object.entries(this.counters).map(([kind, counter]) => [kind, counter.take()]),
      );
    }

    state() {
      return Object.fromEntries(STATES.map((state) => [state, this.pc[state]]));
    }

    async pairs() {
      const report = await this.pc.getStats();
      const ice = (id) => {
        const { candidateType, address, port, priority } = report.get(id) ?? {};
        return [candidateType, address, port, priority].join(" ");
      };
      return [...report.values()]
        .filter(({ type }) => type === "candidate-pair")
        .map(({ localCandidateId, remoteCandidateId, ...rest }) => ({
          local: ice(localCandidateId),
          remote: ice(remoteCandidateId),
          ...rest,
        }));
    }

    async close() {
      await this.pc.close();
      for (const stop of this.stops) stop?.();
    }
  }

  return async ({ do: what, pc, ...rest }) => {
    if (what === "new") {
      connections.set(pc, new Connection(pc));
      return null;
    }
    return (await connections.get(pc)[what](rest)) ?? null;
  };
};

// Count audio by its packets, because what is decoded goes on without any.
globalThis.countPackets = (pc, kind, add) => {
  let seen = 0;
  const timer = setInterval(async () => {
    for (const entry of (await pc.getStats()).values()) {
      if (entry.type !== "inbound-rtp" || (entry.kind ?? entry.mediaType) !== kind) continue;
      if (entry.packetsReceived > seen) {
        seen = entry.packetsReceived;
        add();
      }
    }
  }, 20);
  return () => clearInterval(timer);
};
