"""`loss`: what the model thinks of a batch; nothing changes."""

from signatures.spec import Signature, TrainableModel, mean_loss

DOES = "loss of each utterance of a batch and their mean, in nats; changes nothing"


def loss_signature(model: TrainableModel) -> Signature:
    """The signature `loss`: the batch in; `loss` [], the mean over the utterances, and `losses` [batch] out."""
    batch_inputs = model.batch_inputs()

    def loss(**batch):
        mean, losses = mean_loss(model, [batch[spec.name] for spec in batch_inputs])
        return {"loss": mean, "losses": losses}

    return Signature("loss", DOES, loss, batch_inputs, reads=tuple(group.name for group in model.all_groups))
