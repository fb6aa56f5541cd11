// Numbers, times and sizes as people read them.

const DASH = "–";

/** A number with so many digits and a unit, or a dash for what is not known. */
export function number(value, digits = 0, unit = "") {
  if (typeof value !== "number") return DASH;
  const words = value.toFixed(digits);
  return `${Number(words) === 0 ? (0).toFixed(digits) : words}${unit && ` ${unit}`}`;
}

/** Counts with separators: 1 234 567. */
export const count = (value) => (typeof value === "number" ? value.toLocaleString("en").replaceAll(",", "\u202f") : DASH);

/** Bytes in the largest unit that leaves a number of one or more. */
export function bytes(value) {
  if (typeof value !== "number") return DASH;
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  const scaled = value / 1000 ** power;
  return `${scaled.toFixed(power === 0 || scaled >= 100 ? 0 : 1)} ${units[power]}`;
}

/** Seconds as m:ss or h:mm:ss. */
export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The time of day of a UTC time, in the time of the person who looks. */
export const clock = (iso) => new Date(iso).toLocaleTimeString([], { hour12: false });

/** The day of a UTC time: today, yesterday or the date. */
export function day(iso) {
  const date = new Date(iso);
  const midnight = (moment) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate());
  const days = Math.round((midnight(new Date()) - midnight(date)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return date.toLocaleDateString([], { weekday: "short", day: "numeric", month: "short", year: "numeric" });
}

/** snake_case and dashes as words. */
export const words = (name) => String(name).replaceAll(/[_-]/g, " ");
