"""`loss`: what the model thinks of a batch; nothing changes."""

from signatures.spec import ModelWithExits, Signature, TrainableModel, mean_loss, mean_over

DOES = "loss of each utterance of a batch and their mean, in nats; changes nothing"


def loss_signature(model: TrainableModel) -> Signature:
    """The signature `loss`: the batch in; `loss` [], the mean over the utterances, and `losses` [batch] out; of a model
    with exits also `exit_losses` [exits, batch], of which `losses` are made."""
    batch_inputs = model.batch_inputs()

    def loss(**batch):
        mean, losses = mean_loss(model, [batch[spec.name] for spec in batch_inputs])
        return {"loss": mean, "losses": losses}

    def loss_by_exit(**batch):
        values = [batch[spec.name] for spec in batch_inputs]
        exit_losses = model.exit_losses(*values)
        losses = model.joint_loss(exit_losses)
        return {"loss": mean_over(losses, model.row_weights(*values)), "losses": losses, "exit_losses": exit_losses}

    by_exit = isinstance(model, ModelWithExits)
    return Signature("loss", DOES, loss_by_exit if by_exit else loss, batch_inputs, reads=tuple(group.name for group in model.all_groups))
