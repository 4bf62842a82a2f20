"""The devnet: a relay chain and a parachain with everything a bridge can see."""
