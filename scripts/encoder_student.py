"""The small encoder before training: the teacher's embeddings and layers, cut to size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from encoder_vocabulary import SPECIAL
from torch import Tensor, nn
from transformers import AutoModel, ElectraConfig, ElectraModel, PreTrainedModel

LONGEST = 512


def load_teacher(folder: Path) -> PreTrainedModel:
    """The teacher in bfloat16, which halves the cost of its pass on a recent processor."""
    model: PreTrainedModel = AutoModel.from_pretrained(folder, dtype=torch.bfloat16)
    return model.eval()


def student_config(
    teacher: PreTrainedModel, vocabulary: int, embedding: int, layers: int
) -> ElectraConfig:
    """The teacher's sizes with a narrower embedding table, as ELECTRA has it."""
    return ElectraConfig(
        vocab_size=vocabulary,
        embedding_size=embedding,
        hidden_size=teacher.config.hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=teacher.config.num_attention_heads,
        intermediate_size=teacher.config.intermediate_size,
        max_position_embeddings=LONGEST,
        type_vocab_size=2,
        layer_norm_eps=teacher.config.layer_norm_eps,
        pad_token_id=SPECIAL.index("<pad>"),
        bos_token_id=SPECIAL.index("<s>"),
        eos_token_id=SPECIAL.index("</s>"),
    )


def build_student(
    teacher: PreTrainedModel,
    teacher_ids: Sequence[int],
    usage: Tensor,
    embedding: int,
    layers: Sequence[int],
) -> ElectraModel:
    """A student that starts from the teacher.

    Args:
        teacher: a BERT model.
        teacher_ids: the teacher's id of each of the student's pieces, special tokens first.
        usage: how often each piece is used; the projection keeps the used ones best.
        embedding: width of the embedding table.
        layers: which of the teacher's layers the student's layers start from.
    """
    config = student_config(teacher, len(teacher_ids), embedding, len(layers))
    student = ElectraModel(config)
    with torch.no_grad():
        _project_embeddings(student, teacher, torch.tensor(teacher_ids), usage)
    for index, layer in enumerate(layers):
        state = {k: v.float() for k, v in teacher.encoder.layer[layer].state_dict().items()}
        student.encoder.layer[index].load_state_dict(state)
    return student


def _project_embeddings(
    student: ElectraModel, teacher: PreTrainedModel, ids: Tensor, usage: Tensor
) -> None:
    """Set embeddings so that after the projection they are near the teacher's normalised ones.

    The teacher adds word, position and type vectors and then normalises. The student adds in
    the principal components of the normalised sum, normalises there and projects back up, so
    each word keeps its direction.
    """
    source = teacher.embeddings
    norm: nn.LayerNorm = source.LayerNorm
    words = source.word_embeddings.weight[ids].float()
    positions = source.position_embeddings.weight[:LONGEST].float()
    rest = source.token_type_embeddings.weight[0].float() + positions.mean(0)
    scale = (words + rest).std(-1, unbiased=False, keepdim=True)
    full = nn.functional.layer_norm(
        words + rest, words.shape[-1:], norm.weight.float(), norm.bias.float()
    )
    share = (usage / usage.sum()).sqrt().unsqueeze(1)
    mean = (full * share.square()).sum(0)
    width = student.config.embedding_size
    components = torch.linalg.svd((full - mean) * share, full_matrices=False)[2][:width]
    codes = (full - mean) @ components.T
    codes -= codes.mean(-1, keepdim=True)
    spread = codes.std(-1, unbiased=False)
    embeddings = student.embeddings
    embeddings.word_embeddings.weight.copy_(codes)
    moved = (positions - positions.mean(0)) * norm.weight.float() / scale.median()
    embeddings.position_embeddings.weight.copy_(moved @ components.T)
    embeddings.token_type_embeddings.weight.zero_()
    embeddings.LayerNorm.weight.fill_(float((spread * share.square().squeeze(1)).sum()))
    embeddings.LayerNorm.bias.zero_()
    student.embeddings_project.weight.copy_(components.T)
    student.embeddings_project.bias.copy_(mean)


def save_student(student: ElectraModel, out: Path) -> None:
    """Write the weights in half precision, and a configuration that opens them in full."""
    out.mkdir(parents=True, exist_ok=True)
    state = {k: v.detach().half().contiguous() for k, v in student.state_dict().items()}
    copy = ElectraModel(student.config).half()
    copy.load_state_dict(state)
    copy.save_pretrained(out)
    # Half precision is for storage alone: without this, a plain from_pretrained would train in it.
    path = out / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"dtype": "float32"}
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (out / "model.safetensors").chmod(0o644)
