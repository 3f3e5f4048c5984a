"""A page in a real browser that streams with `fetch`, from origins that may and origins that may not."""
import json
import urllib.parse

from browser import served
from harness import case, chat, expect, fetch, wait_until
from metrics_text import scrape, total

# A page as people write it: it shows what it gets, as it gets it.
PAGE = """<!doctype html><meta charset="utf-8"><title>chat</title><output id="answer"></output><script>
const stop = new AbortController();
let pieces = [];  // [milliseconds, text] of every token as it came
async function ask(url, body, headers) {
    pieces = [];
    answer.textContent = '';
    const begin = performance.now();
    const response = await fetch(url + '/v1/chat/completions', {
        method: 'POST', signal: stop.signal, body: JSON.stringify(body),
        headers: {'Content-Type': 'application/json', ...headers},
    });
    if (!response.ok) return {status: response.status, error: (await response.json()).error.code};
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '', done = false;
    for (;;) {
        const {value, done: ended} = await reader.read();
        if (ended) break;
        const events = (rest + value).split('\\n\\n');
        rest = events.pop();
        for (const event of events) {
            if (event === 'data: [DONE]') { done = true; continue; }
            if (!event.startsWith('data: ')) continue;
            const token = JSON.parse(event.slice(6)).choices[0]?.delta.content;
            if (!token) continue;
            answer.textContent += token;
            pieces.push([performance.now() - begin, token]);
        }
    }
    return {status: response.status, done, id: response.headers.get('x-request-id')};
}
</script>"""


def asked(url, body, headers=None):
    return f"ask({json.dumps(url)}, {json.dumps(body)}, {json.dumps(headers or {})})"


@case("a page in Chromium from an allowed origin streams with fetch and shows the tokens in order, as they come")
def allowed_page(stage):
    browser, llama = stage.browser(), stage.llama()
    with served(PAGE) as port:
        names = {"loopback": f"http://localhost:{port}", "cors_origins": f"http://app.example:{port}"}
        _, url = stage.sluice_with(
            f"listen: 127.0.0.1:0\ncors_origins: ['{names['cors_origins']}']\nkeys: [{{name: page, key: sk-page}}]\nbackends:\n"
            f"  - {{name: mock, kind: llama-server, url: '{stage.mock()}'}}\n"
            f"  - {{name: llama, kind: llama-server, url: '{llama}'}}\n", name="sluice-page")
        key = {"Authorization": "Bearer sk-page"}
        wait_until(lambda: len(fetch(url, "GET", "/v1/models", headers=key).json()["data"]) == 2, 10)
        whole = chat("tiny-llama", "Tell me a story", max_tokens=60, temperature=0, seed=1)
        wanted = fetch(url, "POST", "/v1/chat/completions", whole, key).json()["choices"][0]["message"]["content"]
        notes = []
        for why, origin in names.items():
            with browser.page(origin + "/") as page:
                # With a key the browser asks first, with OPTIONS: that has to be answered without one.
                end = page.evaluate(asked(url, chat("mock", "[[mock tokens=60 delay_us=20000]]", stream=True), key))
                expect(end["status"] == 200 and end["done"] and end["id"], f"{why}: {end}, {page.console}")
                pieces = page.evaluate("pieces")
                order = [int(text[1:text.index(":")]) for _, text in pieces]
                expect(order == list(range(60)), f"{why}: {order}")
                expect(page.text("output").startswith(pieces[0][1]), "what is shown")
                spread = pieces[-1][0] - pieces[0][0]
                expect(spread > 59 * 20 * 0.8, f"{why}: all within {spread:.0f} ms")
                longest = max(late[0] - early[0] for early, late in zip(pieces, pieces[1:]))
                notes.append(f"{why}: first token after {pieces[0][0]:.0f} ms, longest gap {longest:.0f} ms")
                expect(page.evaluate(asked(url, {**whole, "stream": True}, key))["done"], "llama-server's stream")
                expect(page.evaluate("answer.textContent") == wanted, "llama-server's text")
                wrong = page.evaluate(asked(url, chat("mock", "x"), {"Authorization": "Bearer sk-nobody"}))
                expect(wrong == {"status": 401, "error": "invalid_api_key"}, f"a page can read why: {wrong}")
    return "; ".join(notes)


@case("a page in Chromium that stops its fetch, or is closed, frees the backend")
def leaving_page(stage):
    browser = stage.browser()
    _, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-page")
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 10)
    body = chat("mock", "[[mock tokens=100000 delay_us=5000]]", stream=True)

    def running():
        return total(scrape(url), "sluice_requests_active") - 1  # the scrape itself is one
    with served(PAGE) as port:
        for turn, way in enumerate(("stop.abort()", None)):
            page = browser.page(f"http://127.0.0.1:{port}/")
            page.evaluate(f"void {asked(url, body)}.catch(() => 0)")
            page.wait_for("pieces.length > 10")
            expect(running() == 1, "the stream runs")
            page.evaluate(way) if way else page.close()
            wait_until(lambda: total(scrape(url), "sluice_requests_total", ending="client_left") == turn + 1, 2)
            expect(running() == 0, "nothing runs")
            if way:
                page.close()


@case("a page in Chromium from a foreign origin gets nothing, and a rebound name is refused")
def foreign_page(stage):
    browser = stage.browser()
    process, url = stage.sluice("--backend", "llama-server=" + stage.mock(), name="sluice-page")
    wait_until(lambda: fetch(url, "GET", "/ready").status == 200, 10)
    port = urllib.parse.urlsplit(url).port
    body = chat("mock", "[[mock tokens=5]]", stream=True)
    # What a page may send without asking first: its answer is kept from it, but the work would have been done.
    simple = f"""fetch('{url}/v1/chat/completions', {{method: 'POST', mode: 'no-cors', body: {json.dumps(json.dumps(body))}}})
        .then(answer => answer.type)"""
    caught = ".then(end => JSON.stringify(end), error => error.name + ': ' + error.message)"
    with served(PAGE) as server:
        for origin in (f"http://evil.example:{server}", f"http://localhost.evil.example:{server}"):
            with browser.page(origin + "/") as page:
                told = page.evaluate(asked(url, body) + caught)
                expect(told == "TypeError: Failed to fetch", f"{origin}: {told}")
                expect(any("CORS" in line for line in page.console), f"the console says why: {page.console}")
                expect(page.evaluate("pieces.length") == 0, "it saw tokens")
                expect(page.evaluate(simple) == "opaque", "a request without a preflight")
                # In a frame without an origin of its own, whose Origin is "null".
                told = page.evaluate(f"""new Promise(done => {{
                    addEventListener('message', event => done(event.data));
                    const frame = document.createElement('iframe');
                    frame.sandbox = 'allow-scripts';
                    frame.srcdoc = `<script>fetch('{url}/v1/models').then(answer => answer.text(), error => error.message)
                        .then(text => parent.postMessage(text, '*'))<` + '/script>';
                    document.body.append(frame);
                }})""")
                expect(told == "Failed to fetch", f"a frame without an origin: {told}")
        # The attack on what trusts loopback: the page's own name leads to this machine by now, so all is one origin.
        with browser.page(f"http://evil.example:{port}/v1/models") as page:
            expect('"forbidden"' in page.text(), page.text())
            told = page.evaluate("""fetch('/v1/chat/completions', {method: 'POST', body: '{"messages":[]}'})
                .then(answer => answer.json().then(body => answer.status + ' ' + body.error.code))""")
            expect(told == "403 forbidden", told)
    samples = scrape(url)
    answered = total(samples, "sluice_tokens_total")
    expect(answered == 0, f"{answered} tokens for pages that may not")
    return f"{int(total(samples, 'sluice_requests_total', ending='refused'))} refused"
