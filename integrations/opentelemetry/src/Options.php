<?php

declare(strict_types=1);

namespace Amqp1\OpenTelemetry;

use Amqp1\Exception\ConfigException;

/** What is recorded, and how spans are connected. */
final class Options
{
    /** A `process` span is the child of the span that is active; without one, of the job's creation context. */
    public const PARENT_AUTO = 'auto';

    /** A `process` span only links to the job's creation context. */
    public const PARENT_LINK = 'link';

    /** A `process` span is the child of the job's creation context, and links to the span that is active. */
    public const PARENT_CREATION = 'creation';

    /**
     * @param string $parent One of the constants.
     * @param bool $createSpans A `create` span for each job of pushMany(). Without, all jobs have the context of the
     *     `send` span.
     * @param bool $receiveSpans A `receive` span for each job.
     * @param bool $settleSpans A span for each acknowledgement, retry and so on.
     * @param bool $bodySize The attribute messaging.message.body.size.
     *
     * @throws ConfigException an unknown value of $parent
     */
    public function __construct(
        public readonly string $parent = self::PARENT_AUTO,
        public readonly bool $createSpans = true,
        public readonly bool $receiveSpans = true,
        public readonly bool $settleSpans = true,
        public readonly bool $bodySize = false,
    ) {
        if (!in_array($parent, [self::PARENT_AUTO, self::PARENT_LINK, self::PARENT_CREATION], true)) {
            throw new ConfigException("Option 'parent': expected 'auto', 'link' or 'creation', got '$parent'");
        }
    }

    /**
     * @param self|array<string, mixed> $options
     *
     * @throws ConfigException an unknown option
     */
    public static function from(self|array $options): self
    {
        if ($options instanceof self) {
            return $options;
        }
        $known = array_keys(get_class_vars(self::class));
        foreach (array_keys($options) as $name) {
            if (!in_array($name, $known, true)) {
                throw new ConfigException("Unknown option '$name': the options are " . implode(', ', $known));
            }
        }
        try {
            return new self(...$options);
        } catch (\TypeError) {
            throw new ConfigException("Option 'parent' must be a string, the other options true or false");
        }
    }
}
