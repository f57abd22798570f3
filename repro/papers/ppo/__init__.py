"""Proximal Policy Optimization Algorithms (Schulman et al. 2017, arXiv:1707.06347): PPO with a clipped surrogate.

Symbols of the paper and names here:

    pi_theta(a | s)   policy, `actor`                  V(s)     value function, `critic`
    r_t(theta)        ratio of the new to the acting   A_t      `advantage`
                      policy's probability of a_t      V_t^targ `value_target`
    epsilon           `clip`                           gamma    `gamma`, lambda `lam`
    c_1, c_2          `value_coefficient`, `entropy_coefficient`
    N actors          `environments`                   T        `horizon`
    K epochs          `epochs`                         M        a minibatch: N T / `minibatches`
"""
