/** Labs of their own, one after the other, beside those that the tests in ../lab share. */
import "./metal";
import "./existing";
