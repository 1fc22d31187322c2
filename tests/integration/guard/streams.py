"""Answers of scripted models as the streams of each protocol, and what a client makes of such a stream."""

from __future__ import annotations

import json

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
TURN = [{"role": "user", "content": "hi"}]
BODIES = {
    "chat": {"model": "m", "messages": TURN, "stream": True},
    "completions": {"model": "m", "prompt": "hi", "stream": True},
    "messages": {"model": "m", "max_tokens": 9, "messages": TURN, "stream": True},
    "responses": {"model": "m", "input": "hi", "stream": True},
}


def encode(documents, *, done=False):
    out = b""
    for document in documents:
        if "type" in document:
            out += b"event: " + document["type"].encode() + b"\n"
        out += b"data: " + json.dumps(document).encode() + b"\n\n"
    return out + b"data: [DONE]\n\n" if done else out


def pieces(text, size):
    return [text[at : at + size] for at in range(0, len(text), size)]


def chat(text, calls=(), size=3):
    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": {"content": [{"token": "x"}]}}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}

    documents = [chunk({"role": "assistant", "content": ""})]
    documents += [chunk({"content": piece}) for piece in pieces(text, size)]
    for number, (name, arguments) in enumerate(calls):
        documents.append(
            chunk(
                {
                    "tool_calls": [
                        {
                            "index": number,
                            "id": f"t{number}",
                            "type": "function",
                            "function": {"name": name, "arguments": ""},
                        }
                    ]
                }
            )
        )
        documents += [
            chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
            for piece in pieces(arguments, size)
        ]
    documents.append(chunk({}, "tool_calls" if calls else "stop"))
    return encode(documents, done=True)


def completions(text, calls=(), size=3):
    assert not calls

    def chunk(piece, reason=None):
        choice = {"index": 0, "text": piece, "finish_reason": reason, "logprobs": None}
        return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}

    return encode([*(chunk(piece) for piece in pieces(text, size)), chunk("", "stop")], done=True)


def messages(text, calls=(), size=3):
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    documents = [{"type": "message_start", "message": message}, {"type": "ping"}]

    def block(index, start, deltas):
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}

    documents += block(
        0, {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces(text, size)]
    )
    for number, (name, arguments) in enumerate(calls, 1):
        start = {"type": "tool_use", "id": f"t{number}", "name": name, "input": {}}
        documents += block(
            number, start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces(arguments, size)]
        )
    reason = "tool_use" if calls else "end_turn"
    documents += [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    ]
    return encode(documents)


def responses(text, calls=(), size=3):
    def response(status, output):
        return {
            "id": "r", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output, "tools": [],
            "parallel_tool_calls": True, "tool_choice": "auto", "error": None, "incomplete_details": None,
        }  # fmt: skip

    place = {"item_id": "i0", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    item = {"id": "i0", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    whole = {**item, "status": "completed", "content": [{**empty, "text": text}]}
    documents = [
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.in_progress", "response": response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": empty},
        *(
            {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
            for piece in pieces(text, size)
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": whole["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": whole},
    ]
    output = [whole]
    for number, (name, arguments) in enumerate(calls, 1):
        call = {
            "id": f"i{number}",
            "type": "function_call",
            "call_id": f"t{number}",
            "name": name,
            "status": "completed",
            "arguments": arguments,
        }
        at = {"output_index": number, "item_id": f"i{number}"}
        documents += [
            {
                "type": "response.output_item.added",
                "output_index": number,
                "item": {**call, "status": "in_progress", "arguments": ""},
            },
            *(
                {"type": "response.function_call_arguments.delta", **at, "delta": piece}
                for piece in pieces(arguments, size)
            ),
            {"type": "response.function_call_arguments.done", **at, "name": name, "arguments": arguments},
            {"type": "response.output_item.done", "output_index": number, "item": call},
        ]
        output.append(call)
    documents.append({"type": "response.completed", "response": response("completed", output)})
    return encode([{**document, "sequence_number": number} for number, document in enumerate(documents)])


MAKE = {"chat": chat, "completions": completions, "messages": messages, "responses": responses}


class Read:
    """What a client sees of a stream: the text, the calls, how it ended; and that the protocol was kept."""

    def __init__(self, protocol, body):
        self.text, self.calls, self.reason, self.done = "", [], None, False
        self.documents = []
        for event in body.decode().split("\n\n"):
            lines = event.split("\n")
            data = [line[6:] for line in lines if line.startswith("data: ")]
            if data == ["[DONE]"]:
                self.done = True
            elif data:
                assert not self.done
                document = json.loads(data[0])
                if "type" in document:
                    assert f"event: {document['type']}" in lines
                self.documents.append(document)
        getattr(self, f"_{protocol}")()

    def _chat(self):
        for choice in (choice for document in self.documents for choice in document.get("choices", ())):
            assert not choice.get("logprobs")
            assert self.reason is None
            self.text += choice["delta"].get("content") or ""
            self.calls += [
                (call["function"]["name"], call["function"]["arguments"])
                for call in choice["delta"].get("tool_calls") or ()
            ]
            self.reason = choice.get("finish_reason")

    def _completions(self):
        for choice in (choice for document in self.documents for choice in document.get("choices", ())):
            assert self.reason is None
            self.text += choice["text"]
            self.reason = choice.get("finish_reason")

    def _messages(self):
        blocks, current = [], None
        for document in self.documents:
            kind = document["type"]
            if kind == "content_block_start":
                assert (current, document["index"]) == (None, len(blocks))
                current = document["index"]
                blocks.append({**document["content_block"], "json": ""})
            elif kind == "content_block_delta":
                assert document["index"] == current
                delta = document["delta"]
                blocks[-1]["text"] = blocks[-1].get("text", "") + delta.get("text", "")
                blocks[-1]["json"] += delta.get("partial_json", "")
            elif kind == "content_block_stop":
                assert document["index"] == current
                current = None
            elif kind == "message_delta":
                assert current is None
                self.reason = document["delta"]["stop_reason"]
                assert document["usage"]["output_tokens"] >= 0
            elif kind == "message_stop":
                self.done = True
            elif kind == "error":
                self.reason = "error"
        self.text = "".join(block["text"] for block in blocks if block["type"] == "text")
        self.calls = [(block["name"], block["json"]) for block in blocks if block["type"] == "tool_use"]

    def _responses(self):
        texts, final = {}, None
        assert [document.get("sequence_number") for document in self.documents] == list(range(len(self.documents)))
        for document in self.documents:
            kind, at = document["type"], document.get("output_index")
            if kind == "response.output_text.delta":
                texts[at] = texts.get(at, "") + document["delta"]
            elif kind == "response.output_text.done":
                assert document["text"] == texts.get(at, "")
            elif kind == "response.output_item.done":
                item = document["item"]
                if item["type"] == "message":
                    assert [part["text"] for part in item["content"]] == [texts.get(at, "")]
                else:
                    self.calls.append((item["name"], item["arguments"]))
                    assert texts.pop(("call", at)) == item["arguments"]
            elif kind == "response.function_call_arguments.delta":
                texts["call", at] = texts.get(("call", at), "") + document["delta"]
            elif kind in {"response.completed", "response.incomplete", "response.failed"}:
                final, self.done = document["response"], True
            elif kind == "error":
                self.reason = "error"
        self.text = "".join(texts.values())
        if final is not None:
            said = [part["text"] for item in final["output"] if item["type"] == "message" for part in item["content"]]
            assert "".join(said) == self.text
            assert [
                (item["name"], item["arguments"]) for item in final["output"] if item["type"] == "function_call"
            ] == self.calls
            self.reason = (final["incomplete_details"] or {}).get("reason") or final["status"]
