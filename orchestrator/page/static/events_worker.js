// The one stream of events of all tabs: open while one of them is in view, and a moment longer.

import {openStream} from "./stream.js";

const LINGER_MILLISECONDS = 3000;
const SILENT_MILLISECONDS = 60000;

const seen = new Map(); // port of each tab in view, and when it last said so
let stream = null, running = false, closing;

const tell = (message) => {
  if (message.type === "opened") running = true;
  if (message.type === "lost") running = false;
  if (message.type === "signedOut") stream = null;
  for (const port of seen.keys()) port.postMessage(message);
};

function look() {
  for (const [port, when] of seen) if (Date.now() - when > SILENT_MILLISECONDS) seen.delete(port);
  if (seen.size) {
    clearTimeout(closing);
    closing = null;
    stream ??= openStream(tell);
  } else if (stream && !closing) {
    closing = setTimeout(() => {
      stream.close();
      stream = closing = null;
      running = false;
    }, LINGER_MILLISECONDS);
  }
}

self.onconnect = ({ports: [port]}) => {
  port.onmessage = ({data: visible}) => {
    const known = seen.has(port);
    if (visible) seen.set(port, Date.now());
    else seen.delete(port);
    look();
    if (visible && !known && running) port.postMessage({type: "opened"});
  };
};

setInterval(look, SILENT_MILLISECONDS / 2);
