/** Each platform has a lab of its own, one after the other. */
import "./metal";
import "./existing";
