#!/usr/bin/env bash
# libdatachannel repeats in its answer each attribute of an offer's data section that it doesn't know,
# with its value. An offer that tells the INIT of SCTP (`a=sctp-init`, draft-hancke-tsvwg-snap) so
# gets an answer that seems to agree to do without SCTP's handshake, with the offerer's own INIT. The
# offerer takes the association for established, and libdatachannel waits for an INIT.
#
# One would expect an answer without the attribute: it "MUST be ignored" if it isn't known (RFC 8866
# section 5.13). An offerer has to compare the INIT with its own.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund node-datachannel@0.33.4 >/dev/null

cat >shows.cjs <<'JAVASCRIPT'
const { PeerConnection } = require("node-datachannel");
const ADDED = ["a=sctp-init:AQAAHGVPFd8AEAAA/////9tAK2qACAAIgsBAwg==", "a=x-never-heard-of:1"];

const offerer = new PeerConnection("offerer", { iceServers: [] });
const answerer = new PeerConnection("answerer", { iceServers: [] });
offerer.onLocalDescription((sdp, type) => {
    const offered = [...sdp.trimEnd().split(/\r?\n/), ...ADDED, ""].join("\r\n");
    answerer.setRemoteDescription(offered, type);
});
answerer.onLocalDescription((sdp) => {
    const repeated = sdp.split(/\r?\n/).filter((line) => ADDED.includes(line));
    console.log("node-datachannel 0.33.4");
    console.log(`the answer repeats ${repeated.length} of ${ADDED.length} unknown attributes:`);
    repeated.forEach((line) => console.log(`    ${line}`));
    process.exit(repeated.length === ADDED.length ? 0 : 1);
});
offerer.createDataChannel("chat");
JAVASCRIPT
node shows.cjs

# Seen:
# node-datachannel 0.33.4
# the answer repeats 2 of 2 unknown attributes:
#     a=sctp-init:AQAAHGVPFd8AEAAA/////9tAK2qACAAIgsBAwg==
#     a=x-never-heard-of:1
