"""Training on the model's own answers to prompts (trl's GRPO): what is rewarded becomes likelier.

Owns the rollouts: when answers are sampled, what is kept of them, and the parent as reference policy. Knows no reward,
that is the method's (`Recipe.reward`). Called by `learners.trainer`; the step itself is that of
`learners.loop.Extended`.

Deterministic like the other trainers: answers are sampled from torch's random state, which starts from the seed and is
part of every checkpoint, as are the answers of a rollout that several steps learn from. So a run that was killed and
resumed samples the same answers and ends with the same weights. Of several processes each samples all answers, the
first one's count, and what follows is read together: sampling is not shared out, as a batch is drawn as one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
from trl.trainer.utils import add_fused_lm_head

from learners import ranks
from learners.failures import InvalidInput
from learners.loop import Extended, Outcome, StepCallback, Work, padding_token, table
from learners.parts.rewards import Answer
from learners.together import Together

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from learners.worker import Job

__all__ = ["PromptTrainer"]

_ROLLOUT = "rollout."


class PromptTrainer(Extended, GRPOTrainer):
    """Prompts, answered by the model itself, with the parent as reference policy.

    A step's batch is sampled anew in every `num_iterations`-th step; the steps between learn from the same answers.
    """

    _rewards: list[float]
    _log_probabilities: torch.Tensor

    def __init__(
        self, work: Work, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, job: Job,
        arguments: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.work, self.job, self.outcome = work, job, Outcome()
        self._rows = DataCollatorForLanguageModeling(pad_token_id=padding_token(tokenizer))
        beta, self._answers = float(arguments["beta"]), int(arguments["num_generations"])
        plain = not hasattr(model, "peft_config")
        parent = copy.deepcopy(model).requires_grad_(False).eval() if plain and beta else None
        options: dict[str, Any] = {
            **arguments,
            "per_device_train_batch_size": work.settings.batch_size * self._answers,
            "steps_per_generation": 1,
            "beta": 0.0 if parent else beta,  # trl would read the reference from disk, where an adapter's merge is not
        }
        super().__init__(
            model=model, reward_funcs=[self._reward], args=GRPOConfig(**options),
            train_dataset=table(work.rows), processing_class=tokenizer, callbacks=[StepCallback(self)],
        )  # fmt: skip
        self.remove_callback(PrinterCallback)
        if parent:
            add_fused_lm_head(parent, temperature=self.temperature)
            self.beta, self.ref_model = beta, parent
        for name, weight in model.named_parameters():
            if ".ref." in name:
                weight.requires_grad_(False)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; the reference policy is gone afterwards."""
        told = super().train(*args, **kwargs)
        self.ref_model = None
        if "ref" in getattr(self.model, "peft_config", {}):
            self.model.delete_adapter("ref")  # pyright: ignore
        return told

    def _new(self, new: Sequence[int], joined: Sequence[int]) -> dict[str, Any]:
        if joined:
            raise InvalidInput("rehearsed rows are no prompts and cannot join a batch of them; rehearse by a term")
        asked: list[Any] = [self.work.rows[index] for index in new]
        several = [row for row in asked for _ in range(self._answers)]
        return {"asked": [{"prompt": row["prompt_ids"], "expected": row["answer"]} for row in several]}

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        """The prompts are tokens already."""
        return prompts, None, {}

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """Sample answers, or take those of the steps before; in place of trl's, which forgets them in a checkpoint."""
        state, device = self.work.recipe.state, self.accelerator.device
        if self.state.global_step % self.num_iterations == 0:
            sampled = self._sampled(generation_batch["asked"])
            for name in [name for name in state if name.startswith(_ROLLOUT)]:
                del state[name]
            state.update({_ROLLOUT + name: value for name, value in sampled.items()})
        kept = {name.removeprefix(_ROLLOUT): value for name, value in state.items() if name.startswith(_ROLLOUT)}
        inputs: dict[str, Any] = {name: value.to(device) for name, value in kept.items()}
        inputs["attention_mask"] = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        if "rehearsal" in generation_batch:
            inputs["rehearsal"] = {name: value.to(device) for name, value in generation_batch["rehearsal"].items()}
        return inputs

    def _sampled(self, asked: list[Any]) -> dict[str, torch.Tensor]:
        """Answers, scored and weighed; of several processes, those of the first one."""
        sampled: dict[str, torch.Tensor] = self._generate_and_score_completions(asked)
        if credit := self.work.recipe.credit:
            sampled["advantages"] = credit(self.model, sampled, self._rewards)  # pyright: ignore
        sampled |= self._weighed(sampled) if ranks.rank() == 0 else {}
        if ranks.count() == 1:
            return sampled
        told = [{name: value.cpu() for name, value in sampled.items()}]
        return broadcast_object_list(told)[0]

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        """Answers to the prompts, which every process has; trl lets each of them draw others."""
        answers = [super()._generate_single_turn(*args, **kwargs)]
        return broadcast_object_list(answers)[0] if ranks.count() > 1 else answers[0]

    def _calculate_rewards(self, inputs: list[Any], *args: Any, **kwargs: Any) -> Any:
        """trl's, of the first process alone: they are what advantages are measured by, and all have the same ones."""
        return super()._calculate_rewards(inputs, *args, **kwargs)[: len(inputs)]

    def _reward(
        self, completions: list[str], completion_ids: list[list[int]], expected: list[str], **_: Any
    ) -> list[float | None]:
        reward = self.work.recipe.reward
        if reward is None:
            raise InvalidInput("prompts can only be learned with a reward; the method's recipe has none")
        finished = [ids[-1] in self.eos_token_ids for ids in completion_ids]
        self._rewards = reward([Answer(*one) for one in zip(completions, expected, finished, strict=True)])
        return [*self._rewards]

    def _weighed(self, sampled: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Advantages as the method weighs the answers, and how strongly each of these is held to the parent."""
        if self.work.recipe.weigh is None:
            return {}
        mask, likelihoods = sampled["completion_mask"], sampled["old_per_token_logps"]
        mean = (likelihoods * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        weights = torch.tensor(self.work.recipe.weigh(self._rewards, mean.tolist()), device=mean.device)
        advantages = sampled["advantages"]
        factors = weights[:, 0] if advantages.dim() == 1 else weights[:, :1]
        return {"advantages": advantages * factors, "held": weights[:, 1]}

    def _stage_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """trl's loss and, of answers that are held, their distance from the parent."""
        loss = super()._stage_loss(model, inputs, *args, **kwargs)
        if "held" not in inputs:
            return loss
        mask, parent = inputs["completion_mask"], inputs["ref_per_token_logps"]
        distances = (self._log_probabilities - parent).square() * mask
        return loss + (inputs["held"] * distances.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        """trl's, remembered: the last ones that a step computes are those that its loss is made from."""
        found = super()._get_per_token_logps_and_entropies(Together(model), *args, **kwargs)
        self._log_probabilities = found[0]
        return found

    def metrics(self) -> dict[str, float]:
        """Mean reward of the last answers, and how far the policy is from the parent on them, in nats a token."""
        told = self._metrics["train"]
        return {name: told[key][-1] for name, key in (("reward", "reward"), ("kl_nats", "kl")) if key in told}
