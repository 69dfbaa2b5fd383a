/** Parts of a date in UTC, from seconds since 1970, for any year. */
export interface CalendarDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  readonly day: number;
  readonly seconds: number;
  readonly days: number;
}

const LAST = 2 ** 63;
/** What is none of Go's 64-bit integers becomes the smallest of them (amd64), which its calendar takes for this. */
const NO_INTEGER = 2n ** 63n;

/** From days to the calendar: the algorithm `civil_from_days` (https://howardhinnant.github.io/date_algorithms.html). */
export function calendarDate(seconds: number): CalendarDate {
  const whole = seconds >= -LAST && seconds < LAST ? BigInt(Math.trunc(seconds)) : NO_INTEGER;
  const rest = ((whole % 86_400n) + 86_400n) % 86_400n;
  const days = Number((whole - rest) / 86_400n);
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1,
    seconds: Number(rest),
    days,
  };
}

const LENGTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

function daysInMonth({ year, month }: CalendarDate): number {
  return month === 2 && isLeap(year) ? 29 : (LENGTHS[month - 1] as number);
}

function dayOfYear(date: CalendarDate): number {
  const before = LENGTHS.slice(0, date.month - 1).reduce((sum, length) => sum + length, 0);
  return before + date.day + (date.month > 2 && isLeap(date.year) ? 1 : 0);
}

/** PromQL's functions of time, by name. */
export const calendarFunctions: Readonly<Record<string, (date: CalendarDate) => number>> = {
  year: ({ year }) => year,
  month: ({ month }) => month,
  day_of_month: ({ day }) => day,
  day_of_week: ({ days }) => (((days + 4) % 7) + 7) % 7,
  day_of_year: dayOfYear,
  days_in_month: daysInMonth,
  hour: ({ seconds }) => Math.floor(seconds / 3_600),
  minute: ({ seconds }) => Math.floor(seconds / 60) % 60,
};
