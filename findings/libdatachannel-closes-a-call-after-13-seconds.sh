#!/usr/bin/env bash
# libdatachannel closes a connection for good when a message has had no acknowledgment for some 13 s: SCTP
# gives up, and takes DTLS and ICE along. The states go from `connected` to `disconnected` and `closed` in
# the same moment, without `failed`, and sendMessage() throws from then on. Here the other end stands still
# for 20 s, as with a network that comes back: it finds nobody.
#
# One would expect `disconnected` some seconds before, as in browsers, and an open connection at least as
# long as the consent of ICE lasts, which is 30 s (RFC 7675), so that the path can come back, or ICE be
# restarted.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node-datachannel@0.33.4 >/dev/null

cat >shows.mjs <<'JAVASCRIPT'
import { fork } from "node:child_process";
import { PeerConnection } from "node-datachannel";

const OUTAGE = 20_000;
const isFar = process.send !== undefined;
const pc = new PeerConnection(isFar ? "far" : "near", { iceServers: [] });
const other = isFar ? process : fork("shows.mjs");
pc.onLocalDescription((sdp, type) => other.send({ sdp, type }));
pc.onLocalCandidate((candidate, mid) => other.send({ candidate, mid }));
other.on("message", ({ sdp, type, candidate, mid }) =>
    sdp ? pc.setRemoteDescription(sdp, type) : pc.addRemoteCandidate(candidate, mid),
);

if (isFar) {
    // Once it goes on, its channel is closed, too.
    pc.onDataChannel((channel) => channel.onMessage((text) => channel.isOpen() && channel.sendMessage(text)));
} else {
    const states = [];
    let stopped = null;
    const seconds = () => (performance.now() - stopped) / 1000;
    pc.onStateChange((state) => stopped !== null && states.push([state, seconds()]));
    const channel = pc.createDataChannel("chat");
    channel.onOpen(() => channel.sendMessage("hello"));
    channel.onMessage(() => {
        if (stopped !== null) return;
        stopped = performance.now();
        other.kill("SIGSTOP");
        channel.sendMessage("are you there?");
        setTimeout(end, OUTAGE);
    });

    const end = () => {
        other.kill("SIGCONT");
        let failure = null;
        try {
            channel.sendMessage("and now?");
        } catch (error) {
            failure = error.message;
        }
        console.log("node-datachannel 0.33.4");
        for (const [state, at] of states) console.log(`${state} ${at.toFixed(0)} s after the last packet`);
        console.log(`when the other end is back, after ${OUTAGE / 1000} s: ${failure ?? "a message can be sent"}`);
        other.kill("SIGKILL");
        const names = states.map(([state]) => state).join(" ");
        const together = states.length === 2 && states[1][1] - states[0][1] < 0.5 && states[0][1] > 8;
        process.exit(names === "disconnected closed" && together && failure !== null ? 0 : 1);
    };
}
JAVASCRIPT
timeout 60 node shows.mjs

# Seen:
# node-datachannel 0.33.4
# disconnected 13 s after the last packet
# closed 13 s after the last packet
# when the other end is back, after 20 s: libdatachannel error while sending data channel message: DataChannel is closed
