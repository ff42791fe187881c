"use strict";
// The docs page: Swagger UI, the token box, and the line about the last call.

const page = document.getElementById("swagger-ui").dataset;
const STREAM_MILLISECONDS = 5000;
const STREAM_CHARACTERS = 100000;

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

// crypto.randomUUID is missing where the page comes over plain HTTP from another machine.
function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

// The example's request id becomes a fresh one at every call, else the second call would be a replay of the first. Whoever
// wants to see a replay types an id of their own.
function prepare(request) {
  const fresh = uuid();
  request.url = request.url.replaceAll(page.requestId, fresh);
  if (typeof request.body === "string") request.body = request.body.replaceAll(page.requestId, fresh);
  request.headers["accept-language"] = page.language;
  request.userFetch = briefly;
  return request;
}

// A stream of events never ends, so what came within some seconds is shown as the answer.
async function briefly(url, request) {
  const response = await fetch(url, request);
  if (!(response.headers.get("content-type") || "").startsWith("text/event-stream")) return response;
  const reader = response.body.getReader();
  const timer = setTimeout(() => reader.cancel(), STREAM_MILLISECONDS);
  const decoder = new TextDecoder();
  let text = "";
  while (text.length < STREAM_CHARACTERS) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  clearTimeout(timer);
  reader.cancel();
  return new Response(text, { status: response.status, statusText: response.statusText, headers: response.headers });
}

function show(response) {
  const trace = /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec((response.headers && response.headers.traceparent) || "");
  const line = document.getElementById("last-call");
  if (!trace || !page.traces || response.url.endsWith("/openapi.json")) return response;
  const call = document.createElement("code");
  call.textContent = `${response.status} ${decodeURI(new URL(response.url, location.href).pathname)}`;
  const link = document.createElement("a");
  const [path, query] = page.traces.split("?");
  link.href = `${path}/${trace[1]}${query ? `?${query}` : ""}`;
  link.textContent = line.dataset.trace;
  line.replaceChildren(`${line.dataset.call} `, call, link);
  line.hidden = false;
  return response;
}

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  requestInterceptor: prepare,
  responseInterceptor: show,
});

const form = document.getElementById("token");
if (form) {
  const holder = document.getElementById("holder");
  const copy = document.getElementById("copy");
  const hint = holder.textContent;
  let token = "";

  const describe = (text, kind) => {
    holder.textContent = text;
    holder.className = kind;
  };
  // Applicants have a number, staff a department.
  const fitRole = () => {
    const applicant = "applicant" in form.role.selectedOptions[0].dataset;
    document.getElementById("department").hidden = applicant;
    document.getElementById("identity").hidden = !applicant;
  };
  form.role.addEventListener("change", fitRole);
  fitRole();
  form.addEventListener("input", () => {
    if (!token) describe(hint, "");
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { role: form.role.value, region: form.region.value };
    const own = document.getElementById("department").hidden ? "identity" : "department";
    wanted[own] = form[own].value;
    try {
      const response = await fetch("/dev/token", {
        method: "POST",
        headers: { "content-type": "application/json", "accept-language": page.language },
        body: JSON.stringify(wanted),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error((answer.details || []).map((one) => one.message).find(Boolean) || answer.message);
      token = answer.token;
      ui.preauthorizeApiKey("bearer", token);
      const until = new Date(Date.now() + answer.expiresIn * 1000);
      const time = until.toLocaleTimeString(page.language, { hour: "2-digit", minute: "2-digit" });
      describe(`${answer.subject} · ${holder.dataset.until} ${time}`, "good");
      copy.hidden = false;
    } catch (error) {
      describe(holder.dataset.failed + error.message, "bad");
    }
  });

  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(token);
    const text = copy.textContent;
    copy.textContent = copy.dataset.done;
    setTimeout(() => { copy.textContent = text; }, 1500);
  });

  // The names behind the codes, from the catalogue itself; without it the codes can still be typed.
  const offer = async (list, path, entries) => {
    const response = await fetch(path).catch(() => null);
    if (!response || !response.ok) return;
    const found = entries(await response.json());
    document.getElementById(list).replaceChildren(...found.map(({ code, name }) => new Option(name, code)));
  };
  offer("departments", "/approval/v1/departments", (answer) => answer.departments || []);
  offer("regions", "/approval/v1/divisions", (answer) => answer.divisions || []);
}
