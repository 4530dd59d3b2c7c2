"""Renders the chat templates in assets/templates with transformers, and writes what comes out beside them.

    python scripts/templates.py            writes assets/templates/*.json
    python scripts/templates.py --check    compares with the committed ones

Each NAME.jinja there was written for this project, in the wire format of a family of models. NAME.json has one case a
line: a conversation of `conversations`, and its text, or that it is refused and what the template says. It needs the
packages of scripts/requirements-golden.txt.
"""

import datetime
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import tokenizers
import transformers
import transformers.utils.chat_template_utils as rendering

ROOT = Path(__file__).resolve().parent.parent / "assets" / "templates"
NOW = datetime.datetime(2026, 11, 5, 9, 7)
SPECIALS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def message(role, content=None, **more):
    return {"role": role, "content": content, **more}


def function(name, description, properties, required):
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    function(
        "get_weather",
        "What the weather is in \"a place\".",
        {
            "location": {"type": "string", "description": "A town, such as Zürich <&>"},
            "unit": {"type": "string", "enum": ["celsius", "kelvin"], "default": "celsius"},
            "days": {"type": "array", "items": {"type": "integer"}, "default": 3},
            "detail": {"type": ["string", "null"]},
        },
        ["location"],
    ),
    function("add", "Adds.", {"z": {"type": "number"}, "a": {"type": "object", "properties": {"n": {"type": "number"}}}}, []),
    function("now", "What time it is.", {}, []),
]
DOCUMENTS = [{"title": "Mills", "text": "A mill grinds."}, {"title": "Querns", "text": "A quern is small.\nIt is old."}]
CALL = {"id": "abcdef123", "type": "function", "function": {"name": "get_weather", "arguments": {"location": "Zürich", "days": [1, 2.5], "deep": {"x": None, "y": True}}}}


def conversations():
    """(name, messages, other arguments of apply_chat_template), for every template alike."""
    user, answer = message("user", "Hello, who are you?"), message("assistant", "I am a mill. ")
    system = message("system", "You are terse.")
    prompt = {"add_generation_prompt": True}
    yield "one question", [user], prompt
    yield "no prompt for an answer", [user], {}
    yield "system", [system, user], prompt
    yield "turns", [system, user, answer, message("user", "And now?")], prompt
    yield "turns without system", [user, answer, message("user", "And now?"), message("assistant", "Now too.")], {}
    odd = "  \tspace\u00a0before \"quotes\" 'n' \\ <|im_end|> {{ x }} {% y %} \u0301é 石臼 😀\r\n\n "
    yield "odd characters", [message("user", odd), message("assistant", odd), message("user", "x")], prompt
    yield "empty texts", [message("system", ""), message("user", ""), message("assistant", ""), message("user", " ")], prompt
    yield "answer first", [answer, user], prompt
    yield "two questions", [user, user], prompt
    yield "unknown role", [user, answer, message("narrator", "Night fell.")], prompt
    yield "tools", [user], {"tools": TOOLS, **prompt}
    calls = [user, message("assistant", tool_calls=[CALL]), message("tool", "{\"t\": 21.5}", name="get_weather", tool_call_id="abcdef123")]
    yield "a call", calls, {"tools": TOOLS[:1], **prompt}
    yield "a call answered", [*calls, message("assistant", "It is warm."), message("user", "Thanks.")], {"tools": TOOLS, **prompt}
    second = {"id": "x", "type": "function", "function": {"name": "now", "arguments": {}}}
    two = [system, user, message("assistant", "Let me see.", tool_calls=[CALL, second]), message("tool", "21"), message("tool", "noon")]
    yield "two calls", two, prompt
    yield "an answer nobody asked for", [user, message("tool", "21")], prompt
    thought = message("assistant", "Four.", reasoning_content="\nTwo and two.\n")
    yield "reasoning", [user, thought], {}
    yield "reasoning before", [user, thought, message("user", "Sure?")], prompt
    yield "reasoning in the text", [user, message("assistant", "<think>\nhm\n</think>\n\nYes."), message("user", "Sure?"), message("assistant", "<think>\nhm\n</think>\n\nYes!")], {}
    yield "reasoning by another name", [user, message("assistant", "Four.", reasoning="Two and two.", tool_calls=[CALL])], {}
    yield "no thinking", [message("system", "Be quick. /no_think"), user], {"enable_thinking": False, **prompt}
    yield "thinking", [user], {"enable_thinking": True, "reasoning_effort": "high", **prompt}
    yield "documents", [user], {"documents": DOCUMENTS, "controls": {"citations": True, "length": "short"}, **prompt}
    yield "documents and tools", [user], {"documents": DOCUMENTS, "tools": TOOLS, **prompt}
    parts = [{"type": "text", "text": "What is this? "}, {"type": "image"}]
    yield "parts", [message("user", parts)], prompt
    yield "unknown parts", [message("system", [{"type": "text", "text": "S"}]), message("user", [{"type": "smell"}])], prompt
    yield "own variables", [user], {"custom": ["a", 1, None, {"b": 2.0}], "date_string": "1 May 1784", "bos_token": "<B>", **prompt}
    long = [message(["user", "assistant"][i % 2], f"Turn {i}: " + "la " * i) for i in range(12)]
    yield "many turns", long, prompt


def outcome(tokenizer, template, messages, arguments):
    try:
        return {"text": tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **arguments)}
    except Exception as error:
        raised = type(error).__name__ == "TemplateError"
        return {"error": str(error) if raised else None}


def main():
    rendering.datetime = Clock
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel({"<unk>": 0}, "<unk>")), **SPECIALS
    )
    different = []
    for path in sorted(ROOT.glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        cases = []
        for name, messages, arguments in conversations():
            case = {"name": name, "messages": messages, **arguments, **outcome(tokenizer, template, messages, arguments)}
            cases.append(json.dumps(case, ensure_ascii=False))
        text = "[\n" + ",\n".join(cases) + "\n]\n"
        target = path.with_suffix(".json")
        if "--check" not in sys.argv:
            target.write_text(text, encoding="utf-8")
        elif target.read_text(encoding="utf-8") != text:
            different.append(target.name)
    if different:
        raise SystemExit(f"not what transformers renders: {', '.join(different)}")


if __name__ == "__main__":
    main()
