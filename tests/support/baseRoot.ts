/** Makes what all hosts of a lab are made of, as `make lab` does before it has any. */
import { baseRoot } from "../../lab/roots";

void baseRoot();
