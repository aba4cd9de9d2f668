"""The objectives of the variational families, against slow references and what is known exactly."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from conftest import four_lines
from scipy import special, stats

import aezoo
from aezoo.core.errors import OptionError
from aezoo.core.priors import GaussianMixture
from aezoo.models.beta_tcvae import decomposed_kl
from aezoo.nn.autoencoder import keras, ops
from aezoo.nn.losses import gaussian_kl, mmd_imq, permute_axes
from aezoo.testing import smooth_examples

SHAPE = (8, 9, 1)


def small(name, **options):
    keras.utils.set_random_seed(0)
    body = {"latent_dim": 3, "image_shape": SHAPE, "body_options": {"units": (6,)}}
    return aezoo.build(name, **{**body, **options})


def images(count=5):
    return smooth_examples(SHAPE, count)


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def objective(model, examples, training=False):
    return numpy(model.objective(ops.convert_to_tensor(examples), None, training)[0])


def drawn(*shape, seed=0):
    return np.random.Generator(np.random.Philox(seed)).standard_normal(shape).astype("float32")


# -- beta-VAE ---------------------------------------------------------------------------------------


def test_beta_weighs_the_kl():
    bound = objective(small("vae"), images())
    model = small("beta_vae", beta=1.0)
    assert objective(model, images()) == pytest.approx(bound, rel=1e-6)
    kl = numpy(gaussian_kl(*model.posterior(images())))
    assert objective(small("beta_vae", beta=5.0), images()) - bound == pytest.approx(4 * kl, abs=1e-3)


def test_capacity_rises_with_the_steps_of_training(tmp_path):
    model = small("beta_vae", capacity=6.0, capacity_steps=4, gamma=2.0)
    bound, kl = (objective(small("vae"), images()), numpy(gaussian_kl(*model.posterior(images()))))
    nll = bound - kl

    def check(step):
        distance = 2.0 * abs(kl.mean() - 6.0 * min(step, 4) / 4)
        assert objective(model, images()) == pytest.approx(nll + distance, abs=1e-3)

    for step in range(6):
        check(step)
        check(step)  # only training counts
        objective(model, images(), training=True)
    model.fit(images(8), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(numpy(loaded.rising.step)) == 10


# -- beta-TCVAE -------------------------------------------------------------------------------------


def slow_terms(latents, mean, log_var, size):
    """The three terms by loops over examples and axes."""
    count, axes = latents.shape
    terms = np.zeros((3, count))
    for i in range(count):
        shares = [1 / size if j == i else (size - 1) / size / (count - 1) for j in range(count)]
        densities = stats.norm.pdf(latents[i], mean, np.exp(0.5 * log_var))  # (B, D)
        q = sum(share * densities[j].prod() for j, share in enumerate(shares))
        of_axes = [sum(share * densities[j, d] for j, share in enumerate(shares)) for d in range(axes)]
        log_p = stats.norm.logpdf(latents[i]).sum()
        terms[:, i] = (
            np.log(densities[i].prod() / q),
            np.log(q / np.prod(of_axes)),
            np.log(np.prod(of_axes)) - log_p,
        )
    return terms


def test_the_terms_are_those_of_loops_and_add_up():
    latents, mean, log_var = drawn(6, 3), drawn(6, 3, seed=1), drawn(6, 3, seed=2)
    terms = [numpy(term) for term in decomposed_kl(latents, mean, log_var, 40)]
    assert np.stack(terms) == pytest.approx(slow_terms(latents, mean, log_var, 40), abs=1e-4)
    deviations = np.exp(0.5 * log_var)
    sampled = (stats.norm.logpdf(latents, mean, deviations) - stats.norm.logpdf(latents)).sum(axis=1)
    assert sum(terms) == pytest.approx(sampled, abs=1e-4)


def test_the_marginal_has_no_bias():
    """The mean of q(z) over every batch that holds the example is q(z) of all five examples."""
    mean, log_var, latents = drawn(5, 2), drawn(5, 2, seed=1), drawn(1, 2, seed=2)
    deviations = np.exp(0.5 * log_var)
    densities = stats.norm.pdf(latents, mean, deviations).prod(axis=1)
    estimates = []
    for others in itertools.combinations(range(1, 5), 2):
        batch = [0, *others]
        index_mi = decomposed_kl(np.repeat(latents, 3, axis=0), mean[batch], log_var[batch], 5)[0]
        estimates.append(densities[0] / np.exp(numpy(index_mi)[0]))
    assert np.mean(estimates) == pytest.approx(densities.mean(), rel=1e-4)


def test_weights_of_the_terms():
    def penalty(**weights):
        model = small("beta_tcvae", dataset_size=40, **weights)
        mean, log_var, latents = drawn(6, 3, seed=1), drawn(6, 3, seed=2), drawn(6, 3)
        return numpy(model.regularizer(mean, log_var, latents, False))

    terms = slow_terms(drawn(6, 3), drawn(6, 3, seed=1), drawn(6, 3, seed=2), 40)
    assert penalty(alpha=2.0, beta=3.0, gamma=0.5) == pytest.approx([2, 3, 0.5] @ terms, abs=1e-3)


# -- IWAE -------------------------------------------------------------------------------------------


def linear(k):
    """A model without hidden layers, whose log p(x) is known: x = z W + b + 0.7 * noise.

    Its posterior has the right mean and is too wide, so that the bound has something to gain.
    """
    options = {"features": 4, "latent_dim": 2, "scale": 0.7, "body_options": {"units": ()}}
    model = small("iwae", importance_samples=k, **options)
    kernel = model.decoder.get_weights()[0]
    to_mean = kernel.T / 0.49 @ np.linalg.inv(np.eye(2) + kernel @ kernel.T / 0.49)
    model.encoder.get_layer("posterior_mean").set_weights([to_mean, np.zeros(2)])
    model.encoder.get_layer("posterior_log_var").set_weights([np.zeros((4, 2)), np.zeros(2)])
    return model, stats.multivariate_normal(np.zeros(4), kernel.T @ kernel + 0.49 * np.eye(4))


def test_the_bound_rises_with_k_to_the_log_likelihood():
    rows = drawn(40, 4)
    bounds = [-objective(linear(k)[0], rows) for k in (1, 8, 2000)]
    assert bounds[0].mean() < bounds[1].mean() < bounds[2].mean()
    assert bounds[2] == pytest.approx(linear(1)[1].logpdf(rows), abs=0.1)


def test_one_sample_is_a_vae_with_the_kl_of_what_was_drawn():
    model, plain = small("iwae", importance_samples=1), small("vae")
    mean, log_var = plain.posterior(images())
    latents = numpy(plain.draw(mean, log_var, training=False))
    kl = stats.norm.logpdf(latents, mean, np.exp(0.5 * log_var)) - stats.norm.logpdf(latents)
    nll = numpy(plain.nll(images(), plain.decoder(latents)))
    assert objective(model, images()) == pytest.approx(nll + kl.sum(axis=1), rel=1e-5)


def test_samples_stay_with_their_example():
    """Weights of one example alone are summed, and the reconstructions are of the examples in order."""
    model = small("iwae", importance_samples=3)
    mean, log_var = model.posterior(images())
    latents = numpy(model.draw(np.repeat(mean, 3, axis=0), np.repeat(log_var, 3, axis=0), False))
    decoded = numpy(model.decoder(latents))
    each = np.zeros((5, 3))
    for i, k in itertools.product(range(5), range(3)):
        z, x = latents[3 * i + k], images()[i]
        log_q = stats.norm.logpdf(z, mean[i], np.exp(0.5 * log_var[i])).sum()
        log_x = (x * np.log(decoded[3 * i + k]) + (1 - x) * np.log(1 - decoded[3 * i + k])).sum()
        each[i, k] = log_x + stats.norm.logpdf(z).sum() - log_q
    negative, reconstructions = model.objective(ops.convert_to_tensor(images()), None, False)
    assert -numpy(negative) == pytest.approx(special.logsumexp(each, axis=1) - np.log(3), rel=1e-5)
    assert numpy(reconstructions) == pytest.approx(decoded[::3])


# -- VampPrior --------------------------------------------------------------------------------------


def test_the_prior_is_the_encoder_at_the_pseudo_inputs(tmp_path):
    model = small("vamp_vae", components=4)
    before = model.prior
    assert isinstance(before, GaussianMixture)
    pseudo = numpy(model.pseudo_inputs.examples())
    assert pseudo.shape == (4, *SHAPE)
    assert 0 < pseudo.min() < 0.5 < pseudo.max() < 1
    mean, log_var = model.posterior(pseudo)
    assert before.means == pytest.approx(mean, abs=1e-6)
    assert before.factors == pytest.approx(np.exp(0.5 * log_var), rel=1e-5)

    latents, mean, log_var = drawn(6, 3), drawn(6, 3, seed=1), drawn(6, 3, seed=2)
    log_q = stats.norm.logpdf(latents, mean, np.exp(0.5 * log_var)).sum(axis=1)
    penalty = numpy(model.regularizer(mean, log_var, latents, False))
    assert penalty == pytest.approx(log_q - before.log_density(latents), abs=1e-3)

    model.fit(images(16), batch_size=4, verbose=0)
    assert np.abs(numpy(model.pseudo_inputs.examples()) - pseudo).max() > 1e-4
    after = model.prior
    assert np.abs(after.means - before.means).max() > 1e-4
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.prior.means == pytest.approx(after.means, abs=1e-6)
    assert np.array_equal(loaded.sample(3, 7), model.sample(3, 7))
    with pytest.raises(OptionError) as error:
        model.fit_prior(images())
    four_lines(error, "learned with it", "sample")


def test_pseudo_inputs_of_rows_are_in_units_of_the_columns():
    model = small("vamp_vae", features=5, components=50)
    rows = smooth_examples((5,), 200)
    model.adapt(rows)
    given = []
    model.through_encoder = lambda examples: given.append(numpy(examples)) or model.encoder(examples)
    model.components_of_prior()
    standardized = (given[0] - rows.mean(axis=0)) / rows.std(axis=0)
    assert standardized.mean(axis=0) == pytest.approx(np.zeros(5), abs=0.5)
    assert standardized.std(axis=0) == pytest.approx(np.ones(5), abs=0.4)


# -- InfoVAE ----------------------------------------------------------------------------------------


def test_info_vae_between_a_vae_and_the_discrepancy_alone():
    bound = objective(small("vae"), images())
    assert objective(small("info_vae", alpha=0.0, lambda_=1.0), images()) == pytest.approx(bound, rel=1e-6)
    model = small("info_vae", alpha=1.0, lambda_=30.0)
    mean, log_var, latents = drawn(6, 3), drawn(6, 3, seed=1), drawn(6, 3, seed=2)
    prior = keras.random.normal((6, 3), seed=2)
    penalty = numpy(model.regularizer(mean, log_var, latents, False))
    assert penalty == pytest.approx(30 * float(mmd_imq(latents, prior)) / 7, abs=1e-4)


# -- FactorVAE --------------------------------------------------------------------------------------


def test_one_optimiser_is_two_players():
    """The discriminator learns from its own loss alone, and the encoder from none of that loss."""
    model = small("factor_vae", gamma=7.0, discriminator_units=(5,))
    mean, log_var = ops.zeros((8, 3)), ops.zeros((8, 3))
    latents = tf.Variable(drawn(8, 3))
    weights = model.discriminator.trainable_variables
    state = numpy(model.seed_generator.state.value)
    with tf.GradientTape() as tape:
        whole = tf.reduce_mean(model.regularizer(mean, log_var, latents, True))
    to_latents, *to_weights = tape.gradient(whole, [latents, *[each.value for each in weights]])

    model.seed_generator.state.assign(state)
    shuffled = permute_axes(tf.constant(latents), model.seed_generator)
    with tf.GradientTape(persistent=True) as tape:
        log_odds = model.log_odds(latents)
        real = -tf.math.log_sigmoid(log_odds)
        own = tf.reduce_mean(real - tf.math.log_sigmoid(-model.log_odds(shuffled))) / 2
        wanted = 7.0 * tf.reduce_mean(log_odds)
    for found, variable in zip(to_weights, weights, strict=True):
        expected = numpy(tape.gradient(own, variable.value))
        assert np.abs(expected).max() > 1e-3
        assert numpy(found) == pytest.approx(expected, abs=1e-6)
    assert numpy(to_latents) == pytest.approx(numpy(tape.gradient(wanted, latents)), abs=1e-7)


def test_factor_vae_reports_its_papers_objective():
    model = small("factor_vae", gamma=7.0)
    mean, log_var, latents = drawn(8, 3), drawn(8, 3, seed=1), drawn(8, 3, seed=2)
    log_odds = numpy(model.log_odds(latents))
    expected = numpy(gaussian_kl(mean, log_var)) + 7.0 * log_odds
    assert numpy(model.regularizer(mean, log_var, latents, False)) == pytest.approx(expected, rel=1e-5)
    in_training = numpy(model.regularizer(mean, log_var, latents, True)) - expected
    assert (in_training > 0).all()  # the cross-entropy of the discriminator


def test_the_discriminator_finds_latents_that_hang_together():
    model = small("factor_vae", discriminator_units=(32,))
    optimizer = keras.optimizers.Adam(0.02)
    weights = model.discriminator.trainable_variables
    latents = np.repeat(drawn(256, 1), 3, axis=1)
    zeros = ops.zeros((256, 3))

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.regularizer(zeros, zeros, tf.constant(latents), True))
        optimizer.apply(tape.gradient(loss, [each.value for each in weights]), weights)

    for _ in range(120):
        step()
    together, apart = (numpy(model.log_odds(each)).mean() for each in (latents, drawn(256, 3, seed=9)))
    assert together > 1.0 > 0.0 > apart


# -- all of them ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("beta_vae", {"beta": -1}, ["beta=-1", "at least 0"]),
        ("beta_vae", {"capacity": "much"}, ["capacity='much'"]),
        ("beta_vae", {"capacity": 5, "capacity_steps": 0}, ["capacity_steps=0"]),
        ("beta_tcvae", {"dataset_size": 0.5}, ["dataset_size=0.5"]),
        ("iwae", {"importance_samples": 0}, ["importance_samples=0"]),
        ("vamp_vae", {"components": 0}, ["components=0"]),
        ("info_vae", {"alpha": 1.5}, ["rewarded instead of punished", "alpha=1.5"]),
        ("info_vae", {"alpha": 0.0, "lambda_": 0.5}, ["lambda_=0.5"]),
        ("factor_vae", {"gamma": None}, ["gamma=None"]),
        ("factor_vae", {"discriminator_units": "many"}, ["discriminator_units='many'"]),
    ],
)
def test_refused_options(name, options, words):
    with pytest.raises(OptionError) as error:
        small(name, **options)
    four_lines(error, *words)


@pytest.mark.parametrize("name", ["beta_tcvae", "factor_vae", "info_vae", "iwae", "vamp_vae"])
def test_a_last_batch_of_one_is_finite(name):
    options = {"vamp_vae": {"components": 2}, "factor_vae": {"discriminator_units": (4,)}}.get(name, {})
    model = small(name, **options)
    for training in (False, True):
        assert np.isfinite(objective(model, images(1), training)).all()


def test_validation_repeats_itself_and_training_does_not():
    for name in ("beta_tcvae", "info_vae", "iwae"):
        model = small(name, binarize=True)
        assert np.array_equal(objective(model, images()), objective(model, images()))
        pair = objective(model, images(), training=True), objective(model, images(), training=True)
        assert not np.array_equal(*pair)
