/** Each run tries the same cases; MOORAGE_SEED=2 tries others. */
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.MOORAGE_SEED ?? 1) });
