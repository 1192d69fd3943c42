"""Every remedy there is: the change, and why it helps."""

from dataclasses import dataclass

from worker.diagnosing import backbone_changes, changes, estimator_changes
from worker.diagnosing.changes import Change


@dataclass(frozen=True)
class Kind:
    """One way to change a spec."""

    change: Change
    title: str
    rationale: str


KINDS: dict[str, Kind] = {
    "stronger-augmentation": Kind(
        changes.stronger_augmentation,
        "Augment the train samples more",
        "Samples that look different in every epoch cannot be memorised one by one. Learning takes longer that way, "
        "so where all epochs were used there will be more.",
    ),
    "more-dropout": Kind(
        changes.more_dropout,
        "More dropout",
        "Dropout keeps the network from relying on few features (Srivastava et al. 2014).",
    ),
    "more-weight-decay": Kind(
        changes.more_weight_decay,
        "More weight decay",
        "Small weights make smoother decisions, which carry over better.",
    ),
    "label-smoothing": Kind(
        changes.label_smoothing,
        "Smooth the labels",
        "Softer targets keep the network from becoming overconfident (Szegedy et al. 2016).",
    ),
    "train-fewer-layers": Kind(
        backbone_changes.train_fewer_layers,
        "Train fewer layers",
        "Fewer trained weights leave less room to memorise; the pretrained features stay.",
    ),
    "smaller-backbone": Kind(
        backbone_changes.smaller_backbone,
        "Use a smaller backbone",
        "Fewer weights leave less room to memorise.",
    ),
    "pretrained-weights": Kind(
        backbone_changes.pretrained_weights,
        "Start from pretrained weights",
        "Features learned on far more data need far fewer samples than features from scratch.",
    ),
    "more-stochastic-depth": Kind(
        backbone_changes.more_stochastic_depth,
        "Skip more branches while training",
        "Networks of many depths learn at once, and their mean memorises less (Huang et al. 2016).",
    ),
    "decay-lower-layers": Kind(
        backbone_changes.decay_lower_layers,
        "Train lower layers more slowly",
        "General features stay nearer to what they were; those above adapt (Clark et al. 2020, Bao et al. 2021).",
    ),
    "train-longer": Kind(
        changes.train_longer,
        "Train longer",
        "The loss was still falling; early stopping ends training once it does not.",
    ),
    "higher-learning-rate": Kind(
        changes.higher_learning_rate,
        "Raise the learning rate",
        "Larger steps get further in the same number of epochs.",
    ),
    "lower-learning-rate": Kind(
        changes.lower_learning_rate,
        "Lower the learning rate",
        "Smaller steps do not jump over what they are looking for.",
    ),
    "train-more-layers": Kind(
        backbone_changes.train_more_layers,
        "Train more layers",
        "Features that may adapt to these samples fit them better.",
    ),
    "larger-backbone": Kind(
        backbone_changes.larger_backbone,
        "Use a stronger backbone",
        "A network with more weights, or with pretrained ones, can tell apart what this one cannot.",
    ),
    "less-regularisation": Kind(
        changes.less_regularisation,
        "Regularise less",
        "Dropout, weight decay, smoothing and augmentation hold back a network that does not fit its train samples.",
    ),
    "gradient-clipping": Kind(
        changes.gradient_clipping,
        "Clip gradients",
        "A bound on each step keeps single batches from throwing the network off (Pascanu et al. 2013).",
    ),
    "warm-up": Kind(
        changes.warm_up,
        "Warm up the learning rate",
        "Small first steps spare the weights while the head is still random (Goyal et al. 2017).",
    ),
    "larger-batch": Kind(
        changes.larger_batch,
        "Larger batches",
        "The mean over more samples is a steadier direction.",
    ),
    "class-weights": Kind(
        changes.class_weights,
        "Weigh the classes",
        "Otherwise saying the commonest class is the cheapest answer.",
    ),
    "fewer-units": Kind(
        estimator_changes.fewer_units,
        "Fewer hidden units",
        "Fewer weights leave less room to memorise.",
    ),
    "more-units": Kind(
        estimator_changes.more_units,
        "More hidden units",
        "A network with more weights can tell apart what this one cannot.",
    ),
    "shallower-trees": Kind(
        estimator_changes.shallower_trees,
        "Shallower trees",
        "A tree of less depth combines fewer columns at once, and has fewer leaves to memorise samples in.",
    ),
    "deeper-trees": Kind(
        estimator_changes.deeper_trees,
        "Deeper trees",
        "Depth is how many columns a tree can combine.",
    ),
    "heavier-leaves": Kind(
        estimator_changes.heavier_leaves,
        "More samples in each leaf",
        "A leaf that answers for several samples cannot memorise one.",
    ),
    "more-trees": Kind(
        estimator_changes.more_trees,
        "More trees",
        "The mean over more trees is steadier (Breiman 2001).",
    ),
    "stronger-penalty": Kind(
        estimator_changes.stronger_penalty,
        "A stronger penalty on large answers",
        "Smaller coefficients or leaves follow single samples less.",
    ),
    "boosted-trees": Kind(
        estimator_changes.boosted_trees,
        "Boosted trees instead of a linear model",
        "Trees can bend, and combine columns; a linear model can do neither.",
    ),
    "stratified-split": Kind(
        changes.stratified_split,
        "Deal the split anew",
        "Tunelens keeps identical samples on one side of the split, which the archive's folders do not.",
    ),
}
