// The parts of the page, in the order in which they listen.
import "./notices.js";
import "./strip.js";
import "./kept.js";
import "./palette.js";
import "./sliders.js";
import "./people.js";
import "./viewer.js";
import "./hand.js";
import "./intake.js";
import "./mirror.js";
