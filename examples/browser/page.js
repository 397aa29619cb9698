// The page: buttons, states, charts and the log around a call.

import { Call } from "./call.js";
import { Chart } from "./chart.js";
import { camera, drawing } from "./media.js";

const MOST_LINES = 300;
const STALL_MS = 700;
const TONES = {
  connected: "good",
  completed: "good",
  stable: "good",
  new: "",
  disconnected: "bad",
  failed: "bad",
  closed: "bad",
};

const $ = (id) => document.getElementById(id);
const started = performance.now();
const seconds = () => (performance.now() - started) / 1000;
const charts = {
  rtt: new Chart($("rtt-chart"), "milliseconds", 10),
  fps: new Chart($("fps-chart"), "per second", 32),
  pythonFps: new Chart($("python-fps-chart"), "per second", 32),
};

// Frames on the screen, and the longest time between two since the last disturbance.
const frames = { shown: 0, last: null, gap: 0, restarts: 0 };

function log({ who, text, tone = "" }) {
  const list = $("log");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("li");
  const time = document.createElement("time");
  const name = document.createElement("b");
  const words = document.createElement("span");
  time.textContent = `${seconds().toFixed(2)} s`;
  [name.textContent, words.textContent] = [who, text];
  if (tone) line.dataset.tone = tone;
  line.append(time, name, words);
  list.append(line);
  while (list.children.length > MOST_LINES) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** Shows an update of Python's record: its type, and its details when it is opened. */
function record({ time, type, details }) {
  const list = $("record");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("li");
  const moment = document.createElement("time");
  moment.dateTime = new Date(time).toISOString();
  moment.textContent = moment.dateTime.slice(11, 23);
  const name = document.createElement("b");
  name.textContent = type;
  const words = document.createElement("span");
  // Texts of several lines, such as descriptions, are shown as far as there is room.
  words.textContent = details === null ? "" : typeof details === "string" ? details : details.sdp ?? JSON.stringify(details);
  line.append(moment, name, words);
  list.append(line);
  while (list.children.length > MOST_LINES) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

function show(id, text, tone = "") {
  const place = $(id);
  if (place.textContent !== text) place.textContent = text;
  place.dataset.tone = tone;
}

function disturb() {
  const now = seconds();
  for (const chart of Object.values(charts)) chart.mark(now);
  frames.gap = 0;
  show("gap", "–");
  show("took", "–");
}

function watchFrames(video) {
  const shown = (now) => {
    if (frames.last !== null) frames.gap = Math.max(frames.gap, now - frames.last);
    frames.last = now;
    frames.shown += 1;
    video.requestVideoFrameCallback(shown);
  };
  video.requestVideoFrameCallback?.(shown);
}

/** Says in one word how the call is, for the eye and for the ear. */
function showStatus(pc, signaling) {
  const stalled = frames.last !== null && performance.now() - frames.last > STALL_MS && !document.hidden;
  const veil = $("veil");
  veil.hidden = !stalled;
  if (stalled) veil.textContent = "Nothing comes from Python";
  if (pc.connectionState === "failed" || pc.connectionState === "disconnected") show("status", "Path lost, recovering", "bad");
  else if (pc.connectionState === "closed") show("status", "Ended", "bad");
  else if (pc.connectionState !== "connected") show("status", "Connecting", "busy");
  else if (signaling.startsWith("closed")) show("status", "Signaling is lost", "bad");
  else if (signaling !== "connected") show("status", "Signaling reconnects", "busy");
  else if (stalled) show("status", "Path lost, recovering", "bad");
  else show("status", "Connected", "good");
}

function place({ candidateType, address, ip, port }) {
  return `${candidateType} ${address || ip || "(hidden)"}:${port}`;
}

function showStates(pc) {
  for (const [id, state] of [
    ["state-connection", pc.connectionState],
    ["state-ice", pc.iceConnectionState],
    ["state-negotiation", pc.signalingState],
  ]) {
    show(id, state, TONES[state] ?? "busy");
  }
}

/** Tells by how much a counter grows in a second; null at first. */
class Meter {
  #samples = [];
  #before = 0;
  #last = 0;

  rate(counted, now) {
    // Firefox counts from 0 again after each negotiation.
    if (counted < this.#last) this.#before += this.#last;
    this.#last = counted;
    const count = this.#before + counted;
    this.#samples = this.#samples.filter((sample) => now - sample.now < 1.2);
    this.#samples.push({ count, now });
    const [first] = this.#samples;
    return now - first.now < 0.4 ? null : Math.max(0, (count - first.count) / (now - first.now));
  }
}

function showRate(id, chart, rate, now) {
  chart.add(now, rate);
  $(id).value = rate === null ? "–" : Math.round(rate);
}

class View {
  #call;
  #signaling = "connecting";
  #videos = 0;
  #fps = new Meter();
  #pythonFps = new Meter();
  #pythonFrames = null; // {count, now}
  #ready = false;
  #mainTrack = null; // the id of the track that Python's picture comes in

  constructor(call) {
    this.#call = call;
    const on = (type, take) => call.addEventListener(type, ({ detail }) => take(detail));
    on("log", log);
    on("state", () => this.#refresh());
    on("track", ({ track }) => this.#showTrack(track));
    on("news", (news) => this.#takeNews(news));
    on("pulse", (pulse) => this.#takePulse(pulse));
    on("restarted", ({ ms }) => {
      frames.restarts += 1;
      show("took", `${Math.round(ms)} ms`);
    });
    on("signaling", ({ state }) => {
      this.#signaling = state;
      show("state-signaling", state, state === "connected" ? "good" : state.startsWith("closed") ? "bad" : "busy");
    });
    this.#press("restart-here", () => call.restart());
    this.#press("restart-python", () => call.ask("restart"));
    this.#press("cut", () => call.ask("cut"));
    this.#press("add-video", () => {
      call.addVideo(drawing(300));
      // It keeps the focus, for those who work by keyboard.
      $("add-video").setAttribute("aria-disabled", "true");
    });
    setInterval(() => this.#measure(), 500);
    setInterval(() => this.#tick(), 250);
  }

  #press(id, act) {
    $(id).addEventListener("click", () => {
      if ($(id).getAttribute("aria-disabled") === "true") return;
      disturb();
      act();
    });
  }

  #showTrack(track) {
    this.#videos += 1;
    const video = this.#videos === 1 ? $("remote") : $("echo");
    if (this.#videos > 1) $("echo-figure").hidden = false;
    video.srcObject = new MediaStream([track]);
    if (this.#videos > 1) return;
    this.#mainTrack = track.id;
    watchFrames(video);
  }

  #takeNews({ event, text, ice, ms, ...more }) {
    if (event === "recorded") return record(more);
    const tone = { restarted: "good", switched: "good", cut: "bad", restart: "busy", error: "bad" }[event];
    log({ who: "Python", text, tone });
    if (ice) show("state-python", ice, TONES[ice] ?? "busy");
    if (event === "restarted" && !this.#call.seesPairs) show("took", `${ms} ms`);
  }

  #takePulse({ rtt, frames: pythonFrames }) {
    charts.rtt.add(seconds(), rtt);
    $("rtt").value = rtt === null ? "–" : rtt.toFixed(rtt < 10 ? 1 : 0);
    if (pythonFrames !== undefined) this.#pythonFrames = { count: pythonFrames, now: seconds() };
  }

  async #measure() {
    const { local, remote, videos } = await this.#call.observe();
    const now = seconds();
    const main = videos.find(({ trackIdentifier }) => trackIdentifier === this.#mainTrack);
    if (main) {
      const { framesDecoded, timestamp } = main;
      showRate("fps", charts.fps, this.#fps.rate(framesDecoded ?? 0, timestamp / 1000), now);
    }
    if (this.#pythonFrames !== null) {
      const { count, now: then } = this.#pythonFrames;
      const isOld = now - then > 1;
      showRate("python-fps", charts.pythonFps, isOld ? null : this.#pythonFps.rate(count, then), now);
    }
    if (local && remote) show("pair", `${place(local)} to ${place(remote)}`);
    for (const chart of Object.values(charts)) chart.draw(now);
  }

  #tick() {
    if (frames.last !== null && !document.hidden) {
      const gap = Math.max(frames.gap, performance.now() - frames.last);
      show("gap", gap < 10000 ? `${Math.round(gap)} ms` : `${(gap / 1000).toFixed(1)} s`);
    }
    this.#refresh();
  }

  #refresh() {
    const { pc } = this.#call;
    showStates(pc);
    showStatus(pc, this.#signaling);
    if (pc.connectionState !== "connected" || this.#ready) return;
    this.#ready = true;
    for (const id of ["restart-here", "restart-python", "add-video", "cut"]) $(id).disabled = false;
  }
}

/** Sends the camera instead of the drawing, if there is one. */
async function useCamera(sender) {
  try {
    const track = await camera();
    await sender.replaceTrack(track);
    $("local").srcObject = new MediaStream([track]);
    show("local-caption", "Your camera");
    log({ who: "browser", text: "sends the camera" });
  } catch (error) {
    log({ who: "browser", text: `sends a drawing: ${error.message}` });
  }
}

async function begin() {
  const answer = await fetch("call", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  if (!answer.ok) throw new Error(answer.status === 503 ? "too many calls at the moment" : answer.statusText);
  const { room, token, signaling } = await answer.json();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  // A port is one of the machine that this page is from.
  const url = Number.isInteger(signaling) ? `${scheme}://${location.hostname}:${signaling}` : signaling;
  const call = new Call(url, { room, token });
  const view = new View(call);
  addEventListener("pagehide", () => call.close());
  const track = drawing(190);
  $("local").srcObject = new MediaStream([track]);
  show("local-caption", "Your drawing");
  const sender = await call.start(track);
  globalThis.call = { call, view, frames };
  await useCamera(sender);
}

begin().catch((error) => {
  show("status", "No call", "bad");
  log({ who: "browser", text: error.message, tone: "bad" });
});
