"use strict";
// The live page. Every text from the server is set as text, never as markup.
const at = (id) => document.getElementById(id);
const video = at("video"), image = at("image");
const FALLBACK_MS = 6000; // without a picture by WebRTC, until MJPEG is shown
const RETRY_MS = 2000;
let peer = null, fallback = null, busyUntil = 0, ended = false;
let sightings = [], now = 0; // seconds of the source

function say(text) { at("connection").textContent = text; }

async function post(path, value) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(value) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

function showMjpeg() {
  closePeer();
  at("way").value = "mjpeg";
  video.hidden = true;
  image.hidden = false;
  image.src = "picture.mjpeg?" + Date.now();
  say("MJPEG");
}

function closePeer() {
  clearTimeout(fallback);
  if (peer !== null) peer.close();
  peer = null;
}

async function showWebrtc() {
  closePeer();
  image.removeAttribute("src");
  image.hidden = true;
  video.hidden = false;
  say("connecting");
  fallback = setTimeout(showMjpeg, FALLBACK_MS);
  try {
    const mine = peer = new RTCPeerConnection({ iceServers: [] });
    const receiver = mine.addTransceiver("video", { direction: "recvonly" }).receiver;
    if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
    mine.ontrack = (event) => { video.srcObject = new MediaStream([event.track]); };
    mine.onconnectionstatechange = () => {
      if (mine !== peer) return;
      if (mine.connectionState === "failed") showMjpeg();
      if (mine.connectionState === "connected" && video.readyState < 2) { // the first key frame is on its way
        clearTimeout(fallback);
        fallback = setTimeout(showMjpeg, FALLBACK_MS);
      }
    };
    await mine.setLocalDescription(await mine.createOffer());
    await gathered(mine);
    const answer = await post("offer", { sdp: mine.localDescription.sdp });
    if (mine === peer) await mine.setRemoteDescription(await answer.json());
  } catch (error) {
    showMjpeg();
  }
}

function gathered(mine) {
  return new Promise((resolve) => {
    const done = () => { if (mine.iceGatheringState === "complete") resolve(); };
    mine.onicegatheringstatechange = done;
    setTimeout(resolve, 1000);
    done();
  });
}

video.addEventListener("playing", () => { clearTimeout(fallback); say("WebRTC"); });
at("way").addEventListener("change", () => { at("way").value === "mjpeg" ? showMjpeg() : showWebrtc(); });

// Controls: what was chosen goes to the pipeline; what the pipeline says comes back, unless a hand is on it.
async function change(value) {
  busyUntil = Date.now() + 800;
  try { await post("settings", value); } catch (error) { say(error.message); }
}
at("overlay").addEventListener("change", (event) => change({ overlay: event.target.checked }));
at("style").addEventListener("change", (event) => change({ style: event.target.value }));
at("threshold").addEventListener("input", (event) => {
  busyUntil = Date.now() + 800;
  at("threshold-value").textContent = Number(event.target.value).toFixed(2);
});
at("threshold").addEventListener("change", (event) => change({ threshold: Number(event.target.value) }));

function showSettings(settings) {
  if (Date.now() < busyUntil) return;
  at("overlay").checked = settings.overlay;
  at("style").value = settings.style;
  at("threshold").value = settings.threshold;
  at("threshold-value").textContent = settings.threshold.toFixed(2);
}

function showState(state) {
  const second = Math.floor(now);
  now = state.pts_seconds;
  if (Math.floor(now) !== second) drawStrip();
  at("rate").textContent = state.rate.toFixed(1);
  at("delay").textContent = state.delay_ms;
  at("age").textContent = state.age_ms === null ? "–" : Math.round(state.age_ms);
  at("ai").textContent = state.ai.reason ? `${state.ai.state}: ${state.ai.reason}` : state.ai.state;
  at("polyps").textContent = state.polyps.length;
  at("viewers").textContent = state.viewers;
  const others = state.badges.filter((one) => one.kind !== "alert"); // which the line below tells
  const badges = others.map((one) => {
    const item = document.createElement("li");
    item.className = one.kind;
    item.textContent = one.detail ? `${one.title} ${one.detail}` : one.title;
    return item;
  });
  at("badges").replaceChildren(...badges);
  const text = state.alert === null ? "" : `Polyp #${state.alert}`;
  if (at("alert").textContent !== text) at("alert").textContent = text;
  at("alert").hidden = text === "";
  showSettings(state.settings);
}

function clock(seconds) {
  const whole = Math.floor(seconds), two = (value) => String(value).padStart(2, "0");
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest}` : rest;
}

// The sightings to scale, from the first picture to this one. The buttons below are the same for the keyboard.
function drawStrip() {
  const end = Math.max(now, 1, ...sightings.map((one) => one.last));
  const bars = sightings.map((one) => {
    const bar = document.createElementNS(at("strip").namespaceURI, "rect");
    const place = { x: 1000 * one.first / end, width: Math.max(3, 1000 * (one.last - one.first) / end), y: 0, height: 20 };
    for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value);
    bar.classList.toggle("alerted", one.alerted);
    bar.addEventListener("click", () => openSighting(at("timeline").querySelector(`[data-track="${one.track}"]`)));
    return bar;
  });
  at("strip").replaceChildren(...bars);
  for (const id of ["strip", "scale"]) at(id).toggleAttribute("hidden", bars.length === 0);
  at("now").textContent = clock(end);
}

function showSightings(list) {
  sightings = list;
  const known = new Map([...at("timeline").children].map((item) => [item.dataset.track, item]));
  at("none").hidden = list.length > 0;
  for (const one of list) {
    const key = String(one.track);
    let item = known.get(key);
    if (item === undefined) {
      item = document.createElement("li");
      item.dataset.track = key;
      const button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => openSighting(item));
      item.append(button);
      at("timeline").append(item);
    }
    known.delete(key);
    item.classList.toggle("alerted", one.alerted);
    item.firstChild.textContent = `#${key} ${clock(one.first)}–${clock(one.last)} · ${one.confidence.toFixed(2)}`;
  }
  for (const item of known.values()) item.remove();
  drawStrip();
}

function openSighting(item) {
  at("dialog-title").textContent = `Sighting ${item.firstChild.textContent}`;
  at("dialog-image").src = `sightings/${item.dataset.track}.jpg?${Date.now()}`;
  at("dialog-image").alt = `The frame that shows sighting ${item.dataset.track} best`;
  at("dialog").showModal();
}

function listen() {
  const events = new EventSource("events");
  const on = (name, show) => events.addEventListener(name, (event) => show(JSON.parse(event.data)));
  on("info", (info) => { at("source").textContent = info.source || ""; });
  on("state", showState);
  on("sightings", showSightings);
  on("end", () => { ended = true; events.close(); closePeer(); say("the session has ended"); });
  events.onerror = () => {
    if (ended || events.readyState !== EventSource.CLOSED) { if (!ended) say("no connection"); return; }
    say("no connection");
    setTimeout(listen, RETRY_MS);
  };
}

listen();
new URLSearchParams(location.search).has("mjpeg") ? showMjpeg() : showWebrtc();
