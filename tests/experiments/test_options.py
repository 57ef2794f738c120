"""The options of the training scripts, and what they stand for."""

from experiments.options import settle_recipe, training_parser


def test_the_recipe_of_so_many_clips_is_said_with_what_the_command_line_changes(capsys):
    words = ["--batch-size", "2", "--steps", "1"]
    arguments = training_parser("Train.", "out", recipe=None).parse_args(words)
    settle_recipe(arguments, 124)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        "recipe for 124 training clips (fewer than 10,000): 25 checkpoints of 1 b"
    )
    assert "batches of 2, learning rate 0.001, 0 passes" in line
    assert (arguments.steps, arguments.checkpoints, arguments.learning_rate) == (1, 25, 1e-3)
