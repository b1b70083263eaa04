"""`loss`: the loss of a batch; it changes nothing."""

from signatures.spec import ModelWithLoss, Signature, invalid_as_nan, mean_over

DOES = (
    "loss of each utterance of a batch and their mean, in nats, NaN where lengths or labels are invalid; "
    "changes nothing"
)


def loss_signature(model: ModelWithLoss) -> Signature:
    """The signature `loss`: the batch in; `loss` [], the mean over the utterances, `losses` [batch] and `exit_losses`
    [exits, batch], of which `losses` are made, out."""
    batch_inputs = model.batch_inputs()

    def loss(**batch):
        values = [batch[spec.name] for spec in batch_inputs]
        row_weights = model.row_weights(*values)
        exit_losses = invalid_as_nan(model.exit_losses(*values), row_weights)
        losses = model.joint_loss(exit_losses)
        return {"loss": mean_over(losses, row_weights), "losses": losses, "exit_losses": exit_losses}

    return Signature("loss", DOES, loss, batch_inputs, reads=tuple(group.name for group in model.all_groups))
