"use strict";
// A file's name is shown as text and goes nowhere: the server never hears of it.
const POLL_MS = 500;
const keys = new Set();

function make(tag, text) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  return element;
}

function send(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "uploads");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    request.onload = () => {
      if (request.status === 201) resolve(JSON.parse(request.responseText).key);
      else reject(new Error(request.responseText.trim() || `refused (${request.status})`));
    };
    request.onerror = () => reject(new Error("The upload broke off: the file may be too large, or of a kind that is not read."));
    request.send(file);
  });
}

async function follow(key, tell) {
  for (;;) {
    const answer = await fetch(`jobs/${key}`);
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const job = await answer.json();
    if (job.state === "failed") throw new Error(job.error);
    if (job.state === "done") return job;
    tell(job);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function showMade(section, key, job) {
  const overlay = make(job.picture ? "img" : "video");
  if (job.picture) overlay.alt = "The picture with outlines";
  else { overlay.controls = true; overlay.loop = true; overlay.setAttribute("aria-label", "The clip with outlines"); }
  overlay.src = `jobs/${key}/overlay`;
  section.append(overlay);
  const files = [["overlay?download", "Overlay"], ["results", "JSON lines"], ["report", "Report"]];
  for (const [name, text] of files) {
    const link = make("a", text);
    link.href = `jobs/${key}/${name}`;
    link.setAttribute("download", "");
    section.append(link);
  }
}

async function look(file) {
  const section = make("section"), status = make("p", "uploading"), progress = make("progress");
  section.className = "result";
  section.append(make("h2", file.name), status, progress);
  progress.setAttribute("aria-label", "Progress");
  document.getElementById("results").prepend(section);
  try {
    const key = await send(file, (loaded, total) => { progress.max = total; progress.value = loaded; });
    keys.add(key);
    const job = await follow(key, (now) => {
      progress.removeAttribute("value");
      if (now.state === "waiting") status.textContent = `waiting: ${now.place} before it`;
      else {
        status.textContent = now.total ? `frame ${now.done} of ${now.total}` : "running";
        if (now.total) { progress.max = now.total; progress.value = now.done; }
      }
    });
    status.textContent = "done";
    showMade(section, key, job);
  } catch (error) {
    status.textContent = error.message;
    status.setAttribute("role", "alert");
    section.classList.add("refused");
  }
  progress.remove();
}

function lookAll(files) { for (const file of files) look(file); }

const drop = document.getElementById("drop");
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  lookAll(event.dataTransfer.files);
});
document.getElementById("file").addEventListener("change", (event) => {
  lookAll(event.target.files);
  event.target.value = "";
});
window.addEventListener("pagehide", () => { for (const key of keys) navigator.sendBeacon(`jobs/${key}/close`); });
