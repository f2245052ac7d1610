// Print every alert of a daemon, as it comes.
//
//     npm install                          // in this folder, once
//     node alerts.mjs                      // of tcp://127.0.0.1:5556
//     node alerts.mjs tcp://HOST:5556

import { Subscriber } from "zeromq";

const [endpoint = "tcp://127.0.0.1:5556"] = process.argv.slice(2);
const socket = new Subscriber();
socket.connect(endpoint);
socket.subscribe("alert."); // the topics are alert.STREAM; a message has two parts, topic and JSON
console.log(`listening to ${endpoint}`);
for await (const [, body] of socket) {
  const alert = JSON.parse(body.toString());
  // An alert is said when it starts, at each change and when it ends, with the same id.
  // Where the code says it all there is no text.
  console.log([alert.stream, alert.priority, alert.phase, alert.code, alert.text ?? ""].join("  "));
}
