#!/usr/bin/env bash
# Two peers of werift restart ICE in a call whose path works. Both sides apply the offer and the answer,
# with new credentials, and report `completed` and `connected` again; the data channel stays `open`. But
# no message arrives any more, in either direction.
#
# One would expect messages on the old pair until the new one is selected, and then on that one (RFC 8445
# section 9), as in browsers. The states don't tell a program; it has to watch its messages.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund werift@0.25.2 >/dev/null

cat >shows.mjs <<'JAVASCRIPT'
import { RTCPeerConnection } from "werift";

const MESSAGES = 20;
// It asks a STUN server in any case, by default one on the Internet.
const configuration = { iceServers: [{ urls: "stun:127.0.0.1:9" }], iceStunGatherTimeout: 0.1 };
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const [near, far] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];

// Its descriptions have all candidates, so none need to trickle.
async function negotiate(offerer, answerer, options) {
    await offerer.setLocalDescription(await offerer.createOffer(options));
    await answerer.setRemoteDescription(offerer.localDescription);
    await answerer.setLocalDescription(await answerer.createAnswer());
    await offerer.setRemoteDescription(answerer.localDescription);
}

const arrived = { near: 0, far: 0 };
const channel = near.createDataChannel("chat");
channel.onMessage.subscribe(() => (arrived.near += 1));
let other;
far.onDataChannel.subscribe((opened) => {
    other = opened;
    other.onMessage.subscribe(() => (arrived.far += 1));
});

/** Sends messages both ways; returns how many have arrived two seconds later. */
async function exchange() {
    const before = { ...arrived };
    for (let number = 0; number < MESSAGES; number += 1) {
        channel.send(`to far ${number}`);
        other.send(`to near ${number}`);
        await pause(50);
    }
    await pause(2000);
    return [arrived.far - before.far, arrived.near - before.near];
}

const states = (pc) => `${pc.iceConnectionState}, ${pc.connectionState}`;
const credentials = () => [near, far].map((pc) => /a=ice-ufrag:(\S+)/.exec(pc.localDescription.sdp)[1]);
const candidates = () => [near, far].map((pc) => pc.localDescription.sdp.split("a=candidate:").length - 1);
await negotiate(near, far);
while (channel.readyState !== "open" || !other) await pause(50);
console.log("werift 0.25.2");
const first = await exchange();
const old = credentials();
console.log(`before: ${first} of ${MESSAGES} messages arrived; ${states(near)}; ${states(far)}`);
await negotiate(near, far, { iceRestart: true });
const restarted = credentials().every((ufrag, side) => ufrag !== old[side]);
await pause(5000);
const second = await exchange();
console.log(`new credentials on both sides: ${restarted}; candidates: ${candidates()}`);
console.log(`after: ${second} of ${MESSAGES} messages arrived; ${states(near)}; ${states(far)}`);
console.log(`the channel is ${channel.readyState}`);
const silent = second.every((count) => count === 0);
const fine = [near, far].every((pc) => pc.connectionState === "connected");
const complete = restarted && candidates().every((count) => count > 0);
const shown = first.every((count) => count === MESSAGES) && complete && silent && fine;
process.exit(shown && channel.readyState === "open" ? 0 : 1);
JAVASCRIPT
timeout 120 node shows.mjs

# Seen:
# werift 0.25.2
# before: 20,20 of 20 messages arrived; connected, connected; connected, connected
# new credentials on both sides: true; candidates: 2,2
# after: 0,0 of 20 messages arrived; completed, connected; completed, connected
# the channel is open
