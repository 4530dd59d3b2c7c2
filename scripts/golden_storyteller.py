"""Writes what transformers computes with the model inside: assets/storyteller/expected.json and expected.safetensors.

    python scripts/golden_storyteller.py

The weights are taken from their stored bytes: groups of 32 columns, 8 bits each, with a scale in f16 (src/quant). It needs
the packages of scripts/requirements-golden.txt; `make storyteller-golden` makes a virtual environment with them.
"""

import json
from pathlib import Path

import numpy
import safetensors
import safetensors.torch
import torch
from golden import write_json
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "storyteller"
GROUP, BLOCK_GROUPS = 32, 8
POSITIONS = 16
REQUESTS = ["Tell me a story about a fox and a lantern.", "Write a dialogue between a bear and a mouse."]


def decode(rows, columns):
    """The numbers of rows of `q8` bytes: blocks of up to 8 groups' quants, and room for 8 scales behind each."""
    groups, out, at = columns // GROUP, [], 0
    while groups > 0:
        count = min(groups, BLOCK_GROUPS)
        quants = rows[:, at : at + count * GROUP].view(numpy.int8).astype(numpy.float32)
        at += count * GROUP
        scales = rows[:, at : at + 2 * count].copy().view(numpy.float16).astype(numpy.float32)
        at += 2 * BLOCK_GROUPS
        out.append(quants.reshape(len(rows), count, GROUP) * scales[:, :, None])
        groups -= count
    return numpy.concatenate(out, axis=1).reshape(len(rows), columns)


def load():
    with safetensors.safe_open(FOLDER / "model.safetensors", "np") as file:
        described, tensors = file.metadata(), {}
        for name in file.keys():
            tensor = file.get_tensor(name)
            stored = described.get(f"quernel.tensor.{name}")
            if stored is not None:
                form, columns = stored.split()
                assert form == "q8", f"{name} is stored as {form}"
                tensor = decode(tensor, int(columns))
            tensors[name] = torch.from_numpy(tensor.astype(numpy.float32))
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(FOLDER)).eval()
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert set(missing) <= {"lm_head.weight"} and not unexpected, (missing, unexpected)
    model.tie_weights()
    return model


@torch.no_grad()
def story(model, tokenizer, prompt):
    """The greedy continuation, and the smallest lead of a best logit in it, by the deviation of its row."""
    ids, end = list(prompt), tokenizer.eos_token_id
    while len(ids) < model.config.max_position_embeddings and ids[-1] != end:
        ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    rows = model(torch.tensor([ids])).logits[0, len(prompt) - 1 : -1]
    best = rows.topk(2, dim=-1).values
    gap = float(((best[:, 0] - best[:, 1]) / rows.std(dim=-1)).min())
    answer = ids[len(prompt) :]
    return {
        "prompt": list(prompt),
        "greedy": answer,
        "text": tokenizer.decode([id for id in answer if id != end]),
        "min_gap": round(gap, 5),
    }


def main():
    torch.set_num_threads(1)
    tokenizer, model = AutoTokenizer.from_pretrained(FOLDER), load()
    prompts = [tokenizer.encode("Once upon a time")]
    for request in REQUESTS:
        messages = [{"role": "user", "content": request}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompts.append(tokenizer.encode(text, add_special_tokens=False))
    stories = [story(model, tokenizer, prompt) for prompt in prompts]
    tokens = (stories[0]["prompt"] + stories[0]["greedy"])[:POSITIONS]
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0]
    safetensors.torch.save_file({"logits": logits.contiguous()}, FOLDER / "expected.safetensors")
    write_json(FOLDER / "expected.json", {"tokens": tokens, "requests": REQUESTS, "stories": stories})
    for told in stories:
        print(json.dumps(told["text"]), f"\n  {len(told['greedy'])} tokens, the closest decision by {told['min_gap']}\n")


if __name__ == "__main__":
    main()
