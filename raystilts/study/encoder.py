"""The encoder as a study file names it, and how sequences are read off it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from raystilts.study.base import LONGEST_NAME, Model
from raystilts.study.hyperparameters import Overrides


class Encoder(Model):
    """The pretrained encoder that every arm starts from.

    Attributes:
        model_name_or_path: A folder, an id on the Hugging Face hub, or `raystilts-mini`, the embedded one.
        revision: Commit or tag on the hub.
        has_seen: Tasks that its pretraining already held; every answer says so.
        pooling: What a sequence is for classification: its first token, the mean over its tokens, or its last token;
            default the first, and of a decoder, whose first token sees no other, the last.
        retrieval_layer: Hidden state (0 = embeddings) for retrieval targets; default 14 for 24 layers (as in the
            paper, XLM-R Large), otherwise the middle one; -1 is the last.
        attention: `bidirectional` lets the tokens of a decoder see what follows them too.
        retrieval_pooling: What a sequence is there: the mean over its tokens, as in the paper, or its first token.
        name: What tables call it; default `model_name_or_path`.
        hyperparameters: Its own, on top of the study's, where the study has several encoders.
    """

    model_name_or_path: Annotated[str, Field(min_length=1)] = "raystilts-mini"
    revision: str | None = None
    has_seen: tuple[str, ...] = ()
    pooling: Literal["first", "mean", "last"] | None = None
    retrieval_layer: int | None = None
    attention: Annotated[Literal["bidirectional"] | None, Field(exclude_if=lambda value: value is None)] = None
    # Left out of keys at the mean, which it has always been.
    retrieval_pooling: Annotated[Literal["first", "mean"], Field(exclude_if=lambda value: value == "mean")] = "mean"
    name: Annotated[
        str | None, Field(pattern=r"^[\w][\w./@+-]*$", max_length=LONGEST_NAME, exclude_if=lambda value: value is None)
    ] = None
    hyperparameters: Annotated[Overrides | None, Field(exclude_if=lambda value: value is None)] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        return {"model_name_or_path": data} if isinstance(data, str) else data

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.name or self.model_name_or_path

    def sentence_layer(self, layers: int) -> int:
        """The hidden state that stands for sentences, in an encoder of so many layers."""
        if self.retrieval_layer is not None:
            return self.retrieval_layer
        return 14 if layers == 24 else layers // 2
