// Answers in pieces, of an OpenAI-compatible chat endpoint or of an echo.

const ECHO_SECONDS = 0.05; // between its words

/** The pieces of the answer to `messages`, while it is written; without a url, an echo of the last one. */
export function answer({ url, model, key }, messages, signal) {
  return url ? chat(url, model, key, messages, signal) : echo(messages.at(-1).content, signal);
}

async function* echo(text, signal) {
  for (const word of text.split(/(?<=\s)/)) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * ECHO_SECONDS));
    if (signal.aborted) return;
    yield word;
  }
}

async function* chat(url, model, key, messages, signal) {
  const headers = { "Content-Type": "application/json", ...(key && { Authorization: `Bearer ${key}` }) };
  const body = JSON.stringify({ model, messages, stream: true });
  const target = `${url.replace(/\/+$/, "")}/chat/completions`;
  const response = await fetch(target, { method: "POST", headers, body, signal }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Error(`${url} cannot be reached, or does not allow this page (CORS).`);
  });
  if (!response.ok) {
    const said = await response.json().catch(() => null);
    throw new Error(`${url} answered ${response.status}: ${said?.error?.message ?? response.statusText}`);
  }
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const piece = JSON.parse(data).choices?.[0]?.delta?.content;
    if (piece) yield piece;
  }
}

/** The data of server-sent events. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (text + value).split(/\r?\n/);
    text = lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
  }
}
