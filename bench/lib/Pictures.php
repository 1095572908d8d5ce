<?php

declare(strict_types=1);

namespace Amqp1\Bench;

/** Pictures of a run, drawn by gnuplot: rate and CPU by prefetch and by size. */
final class Pictures
{
    private const COLORS = ['amqp1' => '#d6431f', 'php-amqp' => '#1f6fd6', 'php-amqplib' => '#7a7a7a', 'go-amqp' => '#00a29c', 'Java' => '#b07219'];

    /** File => the rows' group, the figure, the axes. */
    private const FILES = [
        'prefetch-rate' => ['prefetch', 'rate', 'prefetch', 'jobs per second'],
        'prefetch-cpu' => ['prefetch', 'cpu', 'prefetch', 'µs CPU a job'],
        'push-size-rate' => ['pushMany', 'rate', 'octets of a payload', 'jobs per second'],
        'push-size-cpu' => ['pushMany', 'cpu', 'octets of a payload', 'µs CPU a job'],
        'consume-size-rate' => ['consume', 'rate', 'octets of a payload', 'jobs per second'],
        'consume-size-cpu' => ['consume', 'cpu', 'octets of a payload', 'µs CPU a job'],
    ];

    private const TITLES = ['prefetch' => 'Consume and ack, 256 octets', 'pushMany' => 'pushMany()', 'consume' => 'Consume and ack'];

    /** @return list<string> what was drawn, or why not */
    public static function draw(Results $results, string $folder): array
    {
        exec('gnuplot --version 2>&1', $_, $code);
        if ($code !== 0) {
            return ['No pictures: gnuplot is missing (scripts/deps bench).'];
        }
        @mkdir($folder, 0777, true);
        $drawn = [];
        foreach (self::FILES as $name => [$group, $key, $x, $y]) {
            $script = self::script($results, $group, $key, $x, $y);
            if ($script === null) {
                continue;
            }
            $file = "$folder/$name.svg";
            $process = proc_open(['gnuplot'], [0 => ['pipe', 'r'], 1 => ['file', $file, 'w']], $pipes);
            fwrite($pipes[0], $script);
            fclose($pipes[0]);
            $drawn[] = proc_close($process) === 0 ? "Picture: $file" : "No picture $file: gnuplot failed.";
        }

        return $drawn;
    }

    /** gnuplot's program with its data; null if the rows are not there. */
    private static function script(Results $results, string $group, string $key, string $x, string $y): ?string
    {
        $rows = array_filter($results->rows, static fn (Row $row) => $row->group() === $group && $row->at !== null);
        if (count($rows) < 2) {
            return null;
        }
        usort($rows, static fn (Row $one, Row $other) => $one->at <=> $other->at);
        $data = $plots = [];
        foreach ($rows[0]->clients() as $i => $client) {
            $data[] = "\$data$i << EOD";
            foreach ($rows as $row) {
                $figure = $row->figure($client, $key);
                if ($figure !== null) {
                    $data[] = "$row->at $figure";
                }
            }
            $data[] = 'EOD';
            $color = self::COLORS[$client] ?? '#000000';
            $plots[] = "\$data$i using 1:2 with linespoints lw 2 pt 7 ps 0.6 lc rgb '$color' title '$client'";
        }

        return implode("\n", [
            "set terminal svg size 640,400 font 'sans-serif,13' background rgb 'white'",
            'set encoding utf8',
            "set title '" . self::TITLES[$group] . "'",
            "set xlabel '$x'",
            "set ylabel '$y'",
            'set logscale x',
            ...($group === 'prefetch' ? [] : ["set logscale y", "set xtics ('256' 256, '16 KB' 16384, '256 KB' 262144, '4 MB' 4194304)"]),
            ...($group === 'prefetch' ? ['set yrange [0:*]', 'set xtics (1, 10, 100, 1000)'] : []),
            'set grid',
            'set bmargin 5.5',
            'set key bmargin center horizontal',
            ...$data,
            'plot ' . implode(', ', $plots),
        ]) . "\n";
    }
}
