"""Trains policy gradients on gymnax's CartPole in one compiled JAX program; a program of the peers' environment.

    python run_jax.py '{"baseline": "value", "runs": 32, ...}'

Prints the time of the end of each call and the call's steps, and the seconds of compilation, as JSON. The work of an
update is that of pgexp: a segment per environment, rewards-to-go, one step of Adam. With the batch mean, steps of
episodes that the segment leaves unfinished are not learned from; with the value network, its prediction continues their
returns. Several runs are one program by `jax.vmap`.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import optax

GAMMA = 0.99
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def layers(key: Any, sizes: tuple[int, ...], output_gain: float) -> list[tuple[Any, Any]]:
    """Return the weights and biases of a multi-layer perceptron."""
    gains = [2**0.5] * (len(sizes) - 2) + [output_gain]
    keys = jax.random.split(key, len(gains))
    return [
        (jax.nn.initializers.orthogonal(gain)(each, (inputs, outputs)), jnp.zeros(outputs))
        for each, gain, inputs, outputs in zip(keys, gains, sizes, sizes[1:], strict=False)
    ]


def outputs_of(network: list[tuple[Any, Any]], x: Any, activation: Callable[[Any], Any]) -> Any:
    """Return a network's outputs. x: [..., inputs]."""
    for weights, biases in network[:-1]:
        x = activation(x @ weights + biases)
    weights, biases = network[-1]
    return x @ weights + biases


def make_run(settings: dict[str, Any]) -> tuple[Callable[[Any], Any], Callable[[Any, None], tuple[Any, Any]]]:
    """Return a function from a key to a run's first state, and a function that updates the state."""
    num_envs, has_value = settings["num_envs"], settings["baseline"] == "value"
    activation = ACTIVATIONS[settings["activation"]]
    env, env_params = gymnax.make("CartPole-v1")
    optimizer = optax.adam(settings["lr"])

    def start(key: Any) -> Any:
        key, key_policy, key_value, key_env = jax.random.split(key, 4)
        params = {"policy": layers(key_policy, (4, 64, 64, 2), 0.01)}
        if has_value:
            params["value"] = layers(key_value, (4, 64, 64, 1), 1.0)
        observations, envs = jax.vmap(env.reset, (0, None))(jax.random.split(key_env, num_envs), env_params)
        return params, optimizer.init(params), envs, observations, key

    def act(params: Any, carry: Any, key: Any) -> tuple[Any, Any]:
        envs, observations = carry
        key_action, key_step = jax.random.split(key)
        actions = jax.random.categorical(key_action, outputs_of(params["policy"], observations, activation))
        keys = jax.random.split(key_step, num_envs)
        step = jax.vmap(env.step, (0, 0, 0, None))
        following, envs, rewards, terminated, truncated, _ = step(keys, envs, actions, env_params)
        return (envs, following), (observations, actions, rewards, terminated | truncated)

    def loss(params: Any, observations: Any, actions: Any, returns: Any, valid: Any) -> Any:
        log_probs = jax.nn.log_softmax(outputs_of(params["policy"], observations, activation))
        log_prob = jnp.take_along_axis(log_probs, actions[..., None], -1)[..., 0]
        if not has_value:
            mean = jnp.sum(returns * valid) / jnp.maximum(jnp.sum(valid), 1)
            return -jnp.mean(log_prob * (returns - mean) * valid)
        values = outputs_of(params["value"], observations, activation)[..., 0]
        policy_loss = -jnp.mean(log_prob * jax.lax.stop_gradient(returns - values))
        return policy_loss + jnp.mean((returns - values) ** 2)

    def update(state: Any, _: None) -> tuple[Any, Any]:
        params, moments, envs, last, key = state
        key, key_segment = jax.random.split(key)
        keys = jax.random.split(key_segment, settings["segment"])
        (envs, last), steps = jax.lax.scan(lambda carry, each: act(params, carry, each), (envs, last), keys)
        observations, actions, rewards, dones = steps

        def backward(following: Any, step: Any) -> tuple[Any, Any]:
            reward, done = step
            reward_to_go = reward + GAMMA * jnp.where(done, 0.0, following[0])
            carry = (reward_to_go, following[1] | done)  # the second: whether the episode ends in the segment
            return carry, carry

        tail = outputs_of(params["value"], last, activation)[..., 0] if has_value else jnp.zeros(num_envs)
        first = (tail, jnp.zeros(num_envs, bool))
        _, (returns, ends) = jax.lax.scan(backward, first, (rewards, dones), reverse=True)
        gradient = jax.grad(loss)(params, observations, actions, returns, ends)
        changes, moments = optimizer.update(gradient, moments)
        return (optax.apply_updates(params, changes), moments, envs, last, key), jnp.sum(dones)

    return start, update


def main() -> None:
    """Compile the program, and call it until the steps are done."""
    settings = json.loads(sys.argv[1])
    runs, updates = settings["runs"], settings["updates_per_call"]
    start, update = make_run(settings)
    several: Callable[[Any], Any] = jax.vmap if runs > 1 else lambda function: function
    keys = jax.random.split(jax.random.key(settings["seed"]), runs)
    state = jax.jit(several(start))(keys if runs > 1 else keys[0])
    begun = time.perf_counter()
    program = jax.jit(several(lambda state: jax.lax.scan(update, state, None, updates))).lower(state).compile()
    seconds = time.perf_counter() - begun
    steps = runs * updates * settings["num_envs"] * settings["segment"]
    stamps: list[tuple[float, int]] = []
    while len(stamps) * steps < runs * settings["steps"]:
        state, dones = program(state)
        episodes = int(dones.sum())  # waits for the result
        stamps.append((time.time(), steps))
    length = steps / max(1, episodes)
    print(json.dumps({"stamps": stamps, "compilation, s": seconds, "mean episode length at the end": length}))


if __name__ == "__main__":
    main()
