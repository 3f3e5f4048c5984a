// Node's fetch against Sluice: node fetch.mjs URL MODEL sluice|direct. Throws, and so exits with 1, when something is off.
import assert from "node:assert/strict";

const [url, model, mode] = process.argv.slice(2);

function ask(fields, signal) {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: "Bearer none" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }], temperature: 0, seed: 7, max_tokens: 24, ...fields }),
    signal,
  });
}

const answer = await ask({ stream: true });
assert.equal(answer.status, 200);
let text = "", reads = 0, buffer = "", done = false;
for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
  reads += 1;
  buffer += piece;
  for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
    const event = buffer.slice(0, end);
    if (event.startsWith(":")) continue;
    assert.ok(event.startsWith("data: "), event);
    assert.ok(!done, "an event after [DONE]");
    if (event === "data: [DONE]") done = true;
    else text += JSON.parse(event.slice(6)).choices[0]?.delta.content ?? "";
  }
}
assert.ok(done && text.length > 0, "no [DONE] or no text");

const whole = await (await ask({})).json();
assert.equal(whole.choices[0].message.content, text);

const control = new AbortController();
const left = await ask({ stream: true, max_tokens: 2000, ignore_eos: true }, control.signal);
await left.body.getReader().read();
control.abort();

if (mode === "sluice") {
  const unknown = await ask({ model: "no-such-model" });
  assert.equal(unknown.status, 404);
  assert.equal((await unknown.json()).error.code, "model_not_found");
}
console.log(`${reads} reads`);
