// A page with the specification's program for perfect negotiation, as any application has it, over
// rtc-signal.js. `enter(url)` goes into a room, `call(wishes)` waits for Python there, and then wants
// "data", "audio" or "video".
globalThis.enter = async (url) => {
  Object.assign(globalThis, { offers: 0, collisions: 0, failures: [], channel: null, taken: null });
  const pc = (globalThis.pc = new RTCPeerConnection());
  const signaling = (globalThis.signaling = new RtcSignal(url, { room: "room", peer: "page" }));
  let makingOffer = false;
  let ignoreOffer = false;
  let settingAnswer = false;
  const send = (data) => signaling.send(data, "python");
  const guard = (job) => async (event) => {
    try {
      await job(event);
    } catch (error) {
      failures.push(String(error));
    }
  };
  pc.onnegotiationneeded = guard(async () => {
    try {
      makingOffer = true;
      await pc.setLocalDescription();
      offers += 1;
      await send({ description: pc.localDescription });
    } finally {
      makingOffer = false;
    }
  });
  pc.onicecandidate = guard(({ candidate }) => candidate && send({ candidate: candidate.toJSON() }));
  const take = guard(async ({ description, candidate }) => {
    if (description) {
      const ready = !makingOffer && (pc.signalingState === "stable" || settingAnswer);
      const collision = description.type === "offer" && !ready;
      collisions += collision;
      ignoreOffer = collision && !(signaling.peers.get("python")?.polite ?? true);
      if (ignoreOffer) return;
      settingAnswer = description.type === "answer";
      await pc.setRemoteDescription(description);
      settingAnswer = false;
      if (description.type === "offer") {
        await pc.setLocalDescription();
        await send({ description: pc.localDescription });
      }
    } else if (candidate) {
      await pc.addIceCandidate(candidate).catch((error) => {
        if (!ignoreOffer) throw error;
      });
    }
  });
  signaling.addEventListener("signal", ({ detail }) => {
    globalThis.taken = Promise.all([taken, take(detail.data)]);
  });
  await signaling.connect();
};

globalThis.call = async (wishes) => {
  while (!signaling.peers.has("python")) {
    await new Promise((resolve) => signaling.addEventListener("peer", resolve, { once: true }));
  }
  // Firefox never offers a channel that is made while a description is being set.
  let awaited;
  do await (awaited = taken);
  while (awaited !== taken);
  for (const wish of wishes) {
    if (wish === "data") globalThis.channel = pc.createDataChannel("page");
    else pc.addTransceiver(wish);
  }
};
