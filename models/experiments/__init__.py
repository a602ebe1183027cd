"""The lecture's claims about training, each as an experiment: arms, seeds, and a table with means and intervals.

One file per experiment, with what it does in its ``EXPERIMENT``; ``fitting`` trains one network, ``report`` runs arms
over seeds and makes the table, ``command`` is python -m models experiments.
"""
from models.experiments import cifar10, dropout_kinds, ensembles, plateau, regularizers, sparsity, transfer

EXPERIMENTS = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (regularizers, dropout_kinds, sparsity, transfer, ensembles, plateau, cifar10)
}
