"use strict";
// Asks the credit service about the code that the form holds when the page is opened, and shows what it says.

const code = document.getElementById("verify").code.value.trim();
const verdict = document.getElementById("verdict");
const show = (id) => { document.getElementById(id).hidden = false; };
const write = (id, text) => { document.getElementById(id).textContent = text; };

async function verify() {
  const path = `/credit/v1/reports:verify?code=${encodeURIComponent(code)}`;
  const response = await fetch(path, { cache: "no-store" }).catch(() => null);
  // 400 is a code that no report can have.
  if (response && (response.status === 404 || response.status === 400)) return show("missing");
  const report = response && response.ok && await response.json().catch(() => null);
  if (!report) return show("failed");
  write("subject", report.subjectName);
  write("kind", verdict.dataset[report.kind.replace("REPORT_KIND_", "").toLowerCase()] || report.kind);
  write("fingerprint", report.contentSha256);
  const made = document.getElementById("made");
  made.dateTime = report.createTime;
  made.textContent = new Date(report.createTime).toLocaleString(document.documentElement.lang, {
    dateStyle: "long", timeStyle: "short", timeZone: "Asia/Shanghai",
  });
  show(report.changedSince ? "changed" : "unchanged");
  document.getElementById("genuine").classList.toggle("changed", report.changedSince);
  return show("genuine");
}

if (code) verify();
