// The one stream of events of all tabs: open while one of them is in view, and a moment longer.

import {openStream} from "./stream.js";

const LINGER_MILLISECONDS = 3000;
const SILENT_MILLISECONDS = 60000;

const seen = new Map(); // port of each tab in view, and when it last said so
let stream = null, last = null, closing; // last: whether the stream was opened or lost most recently

const tell = (message) => {
  if (message.type === "opened" || message.type === "lost") last = message;
  if (message.type === "signedOut") stream = last = null;
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
      stream = closing = last = null;
    }, LINGER_MILLISECONDS);
  }
}

self.onconnect = ({ports: [port]}) => {
  port.onmessage = ({data: visible}) => {
    const known = seen.has(port);
    if (visible) seen.set(port, Date.now());
    else seen.delete(port);
    look();
    if (visible && !known && last) port.postMessage(last);
  };
};

setInterval(look, SILENT_MILLISECONDS / 2);
